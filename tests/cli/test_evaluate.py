"""`kokex evaluate forecast`: from files or the database, for people or programs."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from kokex.adapters.host.csv import write_candles
from kokex.cli import main
from kokex.messages import Candle

MINUTE = 60_000_000_000


@pytest.fixture
def candles(tmp_path: Path) -> Path:
    import numpy as np

    closes = 100 * np.exp(np.cumsum(np.random.default_rng(1).normal(0, 0.001, 400)))
    rows = [Candle("X", i * MINUTE, c, c, c, c, 1.0) for i, c in enumerate(closes.round(4).tolist())]
    write_candles(tmp_path / "X.csv.gz", rows)
    return tmp_path / "X.csv.gz"


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    write_candles(tmp_path / "F.csv.gz", [Candle("F", i * MINUTE, 7.0, 7.0, 7.0, 7.0, 1.0) for i in range(200)])
    return tmp_path / "F.csv.gz"


def called(*words: str | Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["evaluate", "forecast", *map(str, words)])
    return result.exit_code, result.stdout, result.stderr


SMALL = ("--lookback", "60", "--horizon", "6", "--samples", "40")


def test_json_is_one_document_and_the_same_for_the_same_seed(candles: Path) -> None:
    words = ("--candles", candles, *SMALL, "--skip", "garch-t", "--json")
    one, again = called(*words), called(*words)
    assert one == again
    document = json.loads(one[1])
    assert document["absent"] == {}
    assert {model["model"] for model in document["evaluation"]["models"]} == {"baseline", "bootstrap", "historical"}
    assert document["evaluation"]["series"] == {"X": 56}


def test_the_table_has_a_line_for_each_model_and_says_who_wins(candles: Path) -> None:
    code, out, _ = called("--candles", candles, *SMALL)
    assert code == 0
    for name in ("baseline", "bootstrap", "historical", "garch-t"):
        assert f"\n{name} " in out
    assert "CRPS" in out.splitlines()[-1]


def test_candles_on_record_give_what_their_file_gives(candles: Path, tmp_path: Path) -> None:
    db = tmp_path / "kokex.db"
    assert CliRunner().invoke(main, ["data", "import", str(candles), "--db", str(db)]).exit_code == 0
    rest = (*SMALL, "--skip", "garch-t", "--json")
    assert called("--db", db, *rest)[1] == called("--candles", candles, *rest)[1]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "either files (--candles F...), or a database (--db F)"),
        (("--candles", "none.csv"), "none.csv: no such file"),
        (("--candles", "none.csv", "--instrument", "X"), "with --candles leave them out"),
        (("--db", "none.db"), "none.db: no such database"),
        (("--candles", "{candles}", "--lookback", "500"), "400 candles, and no room for 500"),
        (("--candles", "{flat}", *SMALL), "nothing can be compared: baseline has no loss on any series"),
        (("--candles", "{candles}", "--model", "nano", "--model", "nano"), "--model nano is given 2 times"),
        (("--candles", "{candles}", "--skip", "arima"), "--skip arima: there are baseline"),
        (("--candles", "{candles}", "--skip", "baseline"), "the others are compared with it"),
    ],
)
def test_a_wrong_word_is_one_line_that_says_what_would_be_right(
    candles: Path, flat: Path, words: tuple[str, ...], complaint: str
) -> None:
    code, out, error = called(*(word.format(candles=candles, flat=flat) for word in words))
    assert code == 2
    assert out == ""
    assert complaint in error


def test_a_price_that_stood_still_is_left_out_and_named(candles: Path, flat: Path) -> None:
    code, out, _ = called("--candles", flat, candles, *SMALL, "--skip", "garch-t")
    assert code == 0
    assert out.startswith("56 forecasts")
    assert out.splitlines()[-1].startswith("F is left out: baseline has no loss on it")


def test_a_horizon_that_leaves_a_model_nothing_to_look_at_is_one_line(candles: Path) -> None:
    pytest.importorskip("torch")
    words = ("--candles", candles, "--lookback", "30", "--samples", "20", "--skip", "garch-t", "--model", "nano")
    code, out, error = called(*words, "--horizon", "263")
    assert (code, out) == (2, "")
    assert error.endswith(
        "nano: its context of 264 candles has no room for a horizon of 263; --horizon 262 is the largest\n"
    )
    assert called(*words, "--horizon", "262")[0] == 0
