"""`kokex train`: one command, killed or not."""

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from kokex.adapters.host.csv import write_candles
from kokex.cli import main
from kokex.messages import Candle

torch = pytest.importorskip("torch")

SMALL = ("--context", "24", "--horizon", "8", "--gap", "8", "--validation", "0.2", "--batch", "2", "--steps", "40")


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    closes = [round(100 * math.exp(0.05 * math.sin(i / 9)), 4) for i in range(300)]
    rows = [Candle("X", i * 60_000_000_000, c, c, c, c, 1.0 + i % 7) for i, c in enumerate(closes)]
    write_candles(tmp_path / "X.csv.gz", rows)
    return tmp_path / "X.csv.gz"


def called(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["train", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


def test_a_killed_training_goes_on_with_the_same_command_and_ends_the_same(candles: Path, tmp_path: Path) -> None:
    words = ["tokenizer", "--candles", candles, *SMALL, "--json", "--out"]
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-m", "kokex", "train", *map(str, words), str(killed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("tokenizer 10/40"):
                os.kill(process.pid, signal.SIGKILL)
                break
        else:
            pytest.fail("it ended before it could be killed")
    assert not (killed / "training.json").exists()
    assert called(*words, killed)[0] == 0
    code, out, _ = called(*words, whole)
    assert code == 0
    assert json.loads(out)["stages"][0]["steps"] == 40
    told = [json.loads((folder / "training.json").read_text())["tokenizer"] for folder in (killed, whole)]
    assert told[0]["losses"] == told[1]["losses"]
    assert told[0]["validations"] == told[1]["validations"]
    weights = [(folder / "tokenizer/model.safetensors").read_bytes() for folder in (killed, whole)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("all",), "either files (--candles F...), or a database (--db F)"),
        (("all", "--candles", "{candles}"), "too few candles: 300 leave no window of 265"),
        (("all", "--candles", "{candles}", "--size", "huge"), "no size 'huge': there are nano"),
        (("all", "--candles", "{candles}", "--tokenizer", "none"), "none: no such folder"),
        (("predictor", "--candles", "{candles}", *SMALL), "`kokex train tokenizer` makes one"),
        (("all", "--candles", "{candles}", "--device", "cuda"), "take --device cpu"),
    ],
)
def test_what_cannot_be_is_one_line(
    candles: Path, tmp_path: Path, words: tuple[str, ...], complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    short = () if "--context" in words or "too few" in complaint else SMALL
    code, out, error = called(*(word.format(candles=candles) for word in words), *short, "--out", tmp_path / "out")
    assert code == 2
    assert out == ""
    assert complaint in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.glob("out/*")) == []


def test_fine_tuning_that_does_not_help_says_so_and_is_no_mistake(candles: Path, tmp_path: Path) -> None:
    words = ("tokenizer", "--candles", candles, *SMALL, "--out")
    code, out, _ = called(*words, tmp_path / "first")
    assert code == 0
    assert "no better" not in out
    rough = ("--tokenizer", tmp_path / "first/tokenizer", "--learning-rate", "1", "--steps", "2")
    code, out, _ = called(*words, tmp_path / "second", *rough)
    assert code == 0
    assert "tokenizer: no better than the model it began with (validation " in out
