"""From candles to paths of candles: upstream's numbers, and what cannot be forecast from is refused."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")
torch = pytest.importorskip("torch")

from kokex.kronos.forecast import AT_ONCE, Forecaster, Series, with_amount
from kokex.kronos.loading import save
from kokex.kronos.predictor import Predictor
from kokex.kronos.sampling import Rule
from kokex.kronos.tokenizer import Tokenizer
from tests.kronos.fixtures import TINY, needs_fixtures
from tests.kronos.test_model import PREDICTOR, TOKENIZER

MINUTE = 60 * 10**9


@pytest.fixture(scope="module")
def forecaster(tmp_path_factory: pytest.TempPathFactory) -> Forecaster:
    torch.manual_seed(2)
    folders = tmp_path_factory.mktemp("tokenizer"), tmp_path_factory.mktemp("predictor")
    save(Tokenizer(TOKENIZER), folders[0])
    save(Predictor(PREDICTOR), folders[1])
    return Forecaster(*folders, max_context=64)


def past(rows: int = 40, horizon: int = 8, seed: int = 0) -> Series:
    rng = np.random.default_rng(seed)
    closes = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows + 1)))
    opens, ends = closes[:-1], closes[1:]
    high, low = np.maximum(opens, ends) * 1.001, np.minimum(opens, ends) * 0.999
    columns = {"open": opens, "high": high, "low": low, "close": ends, "volume": rng.lognormal(2, 1, rows)}
    times = [place * MINUTE for place in range(rows + horizon)]
    return Series(with_amount(columns), times[:rows], times[rows:], seed)


@needs_fixtures
def test_upstreams_own_comparison_finds_no_failure() -> None:
    pytest.importorskip("pandas")
    command = [sys.executable, str(TINY.parent / "compare.py"), "--fixtures", str(TINY.parent), "--only", "tiny"]
    adapter = ["--adapter", str(Path(__file__).with_name("adapter.py"))]
    done = subprocess.run([*command, *adapter], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("FAILURES 0\n")
    assert done.stdout.count("bit-parity with torch seed 1234: yes") == 8


def test_candles_are_consistent_unless_they_are_to_be_exact(forecaster: Forecaster) -> None:
    (made,), (exact,) = (forecaster.forecast([past()], 50, rule=Rule(2, 0, 1), exact=each) for each in (False, True))
    assert made.candles.shape == exact.candles.shape == (50, 8, 6)
    o, h, low, c, volume, amount = np.moveaxis(made.candles, -1, 0)
    assert (h >= np.maximum(o, c)).all()
    assert (low <= np.minimum(o, c)).all()
    assert (low > 0).all()
    assert (volume >= 0).all()
    assert (amount >= 0).all()
    assert (exact.candles[..., 1] < exact.candles[..., 0]).any()  # there was something to put right
    assert np.array_equal(made.s1, exact.s1)


def test_series_of_any_length_are_forecast_together_as_each_alone(forecaster: Forecaster) -> None:
    series = [past(40, 8, 1), past(30, 8, 2), past(40, 8, 3), past(40, 5, 4)]
    for one, made in zip(series, forecaster.forecast(series, 4), strict=True):
        (alone,) = forecaster.forecast([one], 4)
        assert np.array_equal(alone.s1, made.s1)
        assert np.allclose(alone.candles, made.candles)
        assert made.lookback == len(one.candles)


def test_no_more_is_generated_at_once_than_memory_is_meant_for(
    forecaster: Forecaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    series = [past(20, 3, seed) for seed in range(7)]
    whole = forecaster.forecast(series, 50)
    asked: list[tuple[int, int]] = []
    generate = forecaster.engine.generate

    def counted(x: Any, stamp: Any, samples: int, **others: Any) -> Any:
        asked.append((len(x), samples))
        return generate(x, stamp, samples, **others)

    monkeypatch.setattr(forecaster.engine, "generate", counted)
    again = forecaster.forecast(series, 50)
    assert asked == [(2, 50), (2, 50), (2, 50), (1, 50)]
    assert all(np.array_equal(one.candles, two.candles) for one, two in zip(whole, again, strict=True))
    asked.clear()
    forecaster.forecast(series[:2], AT_ONCE + 1)
    assert asked == [(1, AT_ONCE), (1, 1)] * 2


def test_a_lookback_too_long_for_the_context_is_cut_and_the_horizon_is_not(forecaster: Forecaster) -> None:
    series = past(100, 10)
    (made,) = forecaster.forecast([series], 3)
    (cut,) = forecaster.forecast([series._replace(candles=series.candles[-54:], open_ns=series.open_ns[-54:])], 3)
    assert made.lookback == cut.lookback == 54
    assert np.array_equal(made.candles, cut.candles)
    assert made.candles.shape == (3, 10, 6)


def test_more_paths_than_fit_at_once_are_not_the_same_ones_again(forecaster: Forecaster) -> None:
    (made,) = forecaster.forecast([past(20, 3)], 600, rule=Rule(1, 0, 1))
    assert made.candles.shape == (600, 3, 6)
    assert not np.array_equal(made.s1[:AT_ONCE], made.s1[AT_ONCE : 2 * AT_ONCE])
    (again,) = forecaster.forecast([past(20, 3)], 600, rule=Rule(1, 0, 1))
    assert np.array_equal(made.candles, again.candles)


def test_the_price_of_a_coin_is_no_matter(forecaster: Forecaster) -> None:
    dear = past(40, 8)
    cheap = dear._replace(candles=dear.candles * [1e-8, 1e-8, 1e-8, 1e-8, 1, 1e-8])
    (one,), (other,) = (forecaster.forecast([each], 6) for each in (dear, cheap))
    assert np.allclose(one.candles[..., 3], other.candles[..., 3] * 1e8, rtol=1e-4)


def test_constant_prices_and_no_volume_are_a_past_like_any_other(forecaster: Forecaster) -> None:
    columns = {name: np.full(30, 7.0) for name in ("open", "high", "low", "close")}
    series = Series(with_amount(columns), list(range(30)), [30, 31])
    (made,) = forecaster.forecast([series], 5)
    assert np.allclose(made.candles[..., :4], 7, atol=1e-3)
    assert np.allclose(made.candles[..., 4:], 0, atol=1e-3)


def test_a_gap_in_the_past_is_stepped_over_but_its_times_are_seen(forecaster: Forecaster) -> None:
    whole = past()
    day = 24 * 60 * MINUTE  # between two candles; what stands in the stamps changes, the candles do not
    gap = whole._replace(
        open_ns=[at + day * (place >= 20) for place, at in enumerate(whole.open_ns)],
        future_ns=[at + day for at in whole.future_ns],
    )
    one, other = (forecaster.forecast([each], 20)[0] for each in (whole, gap))
    assert other.lookback == 40
    assert np.isfinite(other.candles).all()
    assert not np.array_equal(one.s1, other.s1)


def test_an_amount_nobody_told_is_the_volume_at_the_mean_price() -> None:
    columns = {"open": [1.0], "high": [4.0], "low": [1.0], "close": [2.0]}
    assert with_amount(columns).tolist() == [[1, 4, 1, 2, 0, 0]]
    assert with_amount(columns | {"volume": [3.0]}).tolist() == [[1, 4, 1, 2, 3, 6]]
    assert with_amount(columns | {"volume": [3.0], "amount": [5.0]}).tolist() == [[1, 4, 1, 2, 3, 5]]


def spoiled(row: int, column: int, value: float) -> Series:
    series = past()
    series.candles[row, column] = value
    return series


@pytest.mark.parametrize(
    ("series", "samples", "wrong"),
    [
        (spoiled(3, 3, np.nan), 1, "close of candle 4 of 40 is nan"),
        (spoiled(0, 4, np.inf), 1, "volume of candle 1 of 40 is inf"),
        (spoiled(2, 4, 1e30), 1, "volume of candle 3 of 40 is 1e.30; the most is 1e.18"),
        (spoiled(5, 0, 0), 1, "open of candle 6 of 40 is 0.0; prices are above 0"),
        (past(1), 1, "the past has 1 candles; 2 are the fewest"),
        (past(20, 0), 1, "horizon is 0"),
        (past(20, 63), 1, "horizon is 63; it must leave room in the context of 64"),
        (past()._replace(future_ns=[5, 6]), 1, "the future must follow the past"),
        (past(), 0, "samples is 0"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_forecast_from_is_named(
    forecaster: Forecaster, series: Series, samples: int, wrong: str
) -> None:
    with pytest.raises(ValueError, match=wrong.replace("(", r"\(")):
        forecaster.forecast([series], samples)


def test_weights_that_are_no_numbers_are_told(tmp_path: Path) -> None:
    predictor = Predictor(PREDICTOR)
    tokenizer = Tokenizer(TOKENIZER)
    with torch.no_grad():
        tokenizer.head.bias.fill_(torch.nan)
    save(tokenizer, tmp_path / "tokenizer")
    save(predictor, tmp_path / "model")
    with pytest.raises(ValueError, match="no finite numbers"):
        Forecaster(tmp_path / "tokenizer", tmp_path / "model").forecast([past()], 2)
