"""`kokex forecast` and `kokex models`, as a user types them."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from kokex.cli import main

HEADER = "timestamp,open,high,low,close,volume"
NO_TORCH = "import sys; sys.modules['torch'] = None; from kokex.cli import main; main(sys.argv[1:])"


def kokex(*arguments: object, code: str = "from kokex.cli import main; main()", **environment: str) -> Any:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


def told(*arguments: object, **extra: str) -> Any:
    done = kokex(*arguments, "--json", **extra)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def write(path: Path, rows: int = 60, change: str = "") -> Path:
    """A file of hourly candles; `change` replaces its last line."""
    start, lines = datetime(2024, 1, 1, tzinfo=UTC), [HEADER]
    for hour in range(rows):
        close = 100 + 5 * ((hour * 7) % 11) / 11
        lines.append(f"{start + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ},100,{close + 6},95,{close},{hour % 3}")
    if change:
        lines[-1] = change
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_baseline_needs_no_torch(tmp_path: Path) -> None:
    file = write(tmp_path / "X-Y.csv")
    ask = ("forecast", "--candles", file, "--lookback", 50, "--horizon", 6, "--samples", 40, "--level", 101)
    document = told(*ask, code=NO_TORCH)
    assert (document["instrument"], document["model"], document["samples"]) == ("X-Y", "baseline", 40)
    assert [row["timestamp"] for row in document["forecast"]] == [f"2024-01-03T{hour}:00:00Z" for hour in range(12, 18)]
    assert all(row["q05"] <= row["q50"] <= row["q95"] for row in document["quantiles"])
    assert 0 <= document["p_up"] <= 1
    assert document["touch"][0]["level"] == 101
    assert document == told(*ask, code=NO_TORCH)
    assert document["paths"] != told(*ask, "--seed", 1)["paths"]


def test_kronos_without_torch_names_the_remedy(tmp_path: Path) -> None:
    done = kokex(
        "forecast", "--candles", write(tmp_path / "X.csv"), "--lookback", 50, "--model", "small", code=NO_TORCH
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith(
        "pip install 'kokex[kronos]' (`make kronos`), or forecast with --model baseline"
    )


def test_people_get_a_table_and_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    picture = tmp_path / "fan.png"
    done = kokex(
        "forecast", "--candles", write(tmp_path / "X.csv"), "--lookback", 50, "--level", 104, "--plot", picture
    )
    assert done.returncode == 0, done.stderr
    assert "close above now at the end" in done.stdout
    assert "104 is touched" in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("rows", "change", "options", "wrong"),
    [
        (60, "2024-01-03T11:00:00Z,1,1,1,nan,1", (), "line 61: close nan is not a finite number"),
        (60, "2024-01-03T11:00:00Z,1,1,1,x,1", (), "line 61: close 'x' is not a number"),
        (60, "2024-01-03T11:00:00Z,1,1,0,1,1", (), "line 61: low 0 is not above 0"),
        (60, "2024-01-01T11:00:00Z,1,1,1,1,1", (), "line 61: timestamp 2024-01-01T11:00:00Z does not follow the one"),
        (60, "yesterday,1,1,1,1,1", (), "line 61: timestamp 'yesterday' is not a time in ISO 8601"),
        (60, "2024-01-03T11:00:00Z,1,1,1", (), "line 61: 4 fields where the header has 6"),
        (20, "", (), "20 candles, but 50 are to be looked at"),
        (60, "", ("--plot", "x.html"), "x.html: name a file that ends in .png"),
        (60, "", ("--plot", "nowhere/x.png"), "nowhere is no folder that can be written to"),
        (60, "", ("--level", "nan"), "--level nan is no price"),
        (60, "3024-01-03T11:00:00Z,1,1,1,1,1", (), "line 61: timestamp 3024-01-03T11:00:00Z is after the year 2199"),
        (60, "", ("--greedy",), "--max-context are for Kronos"),
        (60, "", ("--model", "nano", "--exact", "--precision", "bf16"), "--precision bf16 gives others"),
        (60, "", ("--model", "nowhere"), "nowhere: neither a folder nor one of nano, mini, small, base"),
    ],
)
def test_a_mistake_is_one_line(tmp_path: Path, rows: int, change: str, options: tuple[str, ...], wrong: str) -> None:
    if "--model" in options and find_spec("torch") is None:
        pytest.skip("torch is absent")
    asked = ["forecast", "--candles", str(write(tmp_path / "X.csv", rows, change)), "--lookback", "50", *options]
    done = CliRunner().invoke(main, asked)
    assert done.exit_code != 0
    (line,) = done.stderr.splitlines()
    assert wrong in line


def test_times_to_come_may_be_named(tmp_path: Path) -> None:
    future = tmp_path / "future.csv"
    future.write_text("timestamp\n2024-01-08 09:00:00\n2024-01-08 10:00:00\n")
    ask = ("forecast", "--candles", write(tmp_path / "X.csv"), "--lookback", 50, "--future", future)
    rows = told(*ask, "--horizon", 2)["forecast"]
    assert [row["timestamp"] for row in rows] == ["2024-01-08T09:00:00Z", "2024-01-08T10:00:00Z"]
    assert "2 times, but --horizon is 3" in kokex(*ask, "--horizon", 3).stderr
    future.write_text("timestamp\n2024-01-03 11:00:00\n")
    assert "is not after the last candle" in kokex(*ask, "--horizon", 1).stderr


def test_all_of_the_file_tells_when_the_market_is_open(tmp_path: Path) -> None:
    file, lines = tmp_path / "X.csv", [HEADER]
    for day in range(8, 19):  # Monday, 8 January 2024, and on
        if day not in (13, 14):
            lines += [f"2024-01-{day:02}T{hour:02}:00:00Z,1,2,1,2,1" for hour in range(9, 15)]
    file.write_text("\n".join(lines[:-3]) + "\n")
    for lookback in (["--lookback", 4], []):  # without one, all of it
        rows = told("forecast", "--candles", file, "--horizon", 4, *lookback)["forecast"]
        assert [row["timestamp"][8:13] for row in rows] == ["18T12", "18T13", "18T14", "19T09"]
    file.write_text(file.read_text().replace("low", "high", 1))
    assert "line 1: two columns 'high'" in kokex("forecast", "--candles", file).stderr


def test_a_model_that_is_not_here_is_pulled_or_told_of(tmp_path: Path) -> None:
    pytest.importorskip("huggingface_hub")
    nowhere = {"HF_HOME": str(tmp_path / "hub"), "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_DISABLE_TELEMETRY": "1"}
    done = kokex("models", "pull", "mini", **nowhere)
    assert done.returncode == 1
    assert "Kronos-Tokenizer-2k: the hub cannot be reached, and it is not in the cache" in done.stderr
    listed = {each["name"]: each["model"] for each in told("models", "list", **nowhere)}
    assert Path(listed.pop("nano")).is_dir()  # part of the program
    assert listed == dict.fromkeys(("mini", "small", "base"))
    for repository in ("Kronos-Tokenizer-2k", "Kronos-mini"):  # as the hub's cache has it
        cached = tmp_path / "hub/hub" / f"models--NeoQuasar--{repository}"
        snapshot = cached / "snapshots" / ("a" * 40)
        snapshot.mkdir(parents=True)
        (cached / "refs").mkdir()
        (cached / "refs/main").write_text("a" * 40)
        for name in ("config.json", "model.safetensors"):
            (snapshot / name).write_text("{}")
    pulled = told("models", "pull", "mini", **nowhere)
    assert Path(pulled["model"]).parent.parent.name == "models--NeoQuasar--Kronos-mini"
    assert Path(pulled["tokenizer"]).is_dir()
