"""The engine gives what recomputing everything gives, token for token, whatever it shares and keeps."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

torch = pytest.importorskip("torch")

from msgspec.structs import replace

from kokex.kronos import matrix, native
from kokex.kronos.config import CheckpointError
from kokex.kronos.engine import Engine
from kokex.kronos.loading import save
from kokex.kronos.predictor import Predictor
from kokex.kronos.sampling import Rule
from kokex.kronos.tokenizer import Tokenizer
from tests.kronos import reference
from tests.kronos.test_model import PREDICTOR, TOKENIZER


class Models(NamedTuple):
    tokenizer: Tokenizer
    predictor: Predictor
    folders: tuple[Path, Path]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    torch.manual_seed(2)
    folders = tmp_path_factory.mktemp("tokenizer"), tmp_path_factory.mktemp("predictor")
    made = Tokenizer(TOKENIZER).eval(), Predictor(PREDICTOR).eval()
    for model, folder in zip(made, folders, strict=True):
        save(model, folder)
    return Models(*made, folders)


def series(instruments: int, rows: int, horizon: int) -> tuple[Any, Any]:
    generator = torch.Generator().manual_seed(3)
    x = torch.randn(instruments, rows, 6, generator=generator).clamp(-5, 5)
    return x, torch.randint(0, 7, (instruments, rows + horizon, 5), generator=generator)


def agree(models: Models, engine: Engine, *, rows: int, horizon: int, samples: int, window: int, rule: Rule) -> None:
    x, stamp = series(1, rows, horizon)
    expected_logits: list[Any] = []
    logits: list[Any] = []
    expected, candles = reference.forecast(
        models.tokenizer, models.predictor, x, stamp, horizon,
        max_context=window, samples=samples, seed=7, seen=expected_logits, **rule._asdict(),
    )  # fmt: skip
    made = engine.generate(
        x, stamp, samples, rule=rule, seeds=[7], max_context=window, seen=lambda *step: logits.append(step)
    )
    assert torch.equal(made.tokens.s1, expected.s1)
    assert torch.equal(made.tokens.s2, expected.s2)
    assert torch.allclose(made.candles, candles, atol=1e-5)
    for step, wanted in zip(logits, expected_logits, strict=True):
        for one, other in zip(step, wanted, strict=True):
            assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("rule", [Rule(), Rule(0.7, 0, 0.5), Rule(1.3, 4, 0.9), Rule(1, 0, 1), Rule(1, 1, 1)], ids=str)
@pytest.mark.parametrize("samples", [1, 9])
def test_paths_are_token_for_token_those_of_the_reference(models: Models, rule: Rule, samples: int) -> None:
    agree(models, Engine(*models.folders), rows=40, horizon=9, samples=samples, window=64, rule=rule)


@pytest.mark.parametrize(("rows", "horizon"), [(28, 9), (32, 5), (50, 31), (24, 8), (24, 9)])
def test_past_the_window_too(models: Models, rows: int, horizon: int) -> None:
    agree(models, Engine(*models.folders), rows=rows, horizon=horizon, samples=3, window=32, rule=Rule())


@pytest.mark.skipif(not native.tiles(), reason="nothing else has run above")
def test_by_kernels_without_tiles(models: Models, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "tiles", lambda: False)
    agree(models, Engine(*models.folders), rows=40, horizon=9, samples=5, window=64, rule=Rule())
    agree(models, Engine(*models.folders), rows=28, horizon=9, samples=3, window=32, rule=Rule())


@pytest.mark.parametrize("kind", [matrix.Plain, matrix.Packed], ids=lambda kind: kind.__name__)
def test_by_torch_alone_on_either_library_of_multiplication(
    models: Models, kind: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "available", lambda: False)
    monkeypatch.setattr(matrix, "exact", lambda: kind)
    agree(models, Engine(*models.folders), rows=40, horizon=9, samples=5, window=64, rule=Rule())
    agree(models, Engine(*models.folders), rows=28, horizon=9, samples=3, window=32, rule=Rule())


def test_half_precision_is_near_and_only_where_the_processor_has_it(
    models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})  # without it the same, but slower
    x, stamp = series(1, 40, 9)
    logits: list[list[Any]] = []
    for engine in (Engine(*models.folders), Engine(*models.folders, "bf16")):
        seen: list[Any] = []
        engine.generate(x, stamp, 5, rule=Rule(1, 1), seeds=[7], max_context=64, seen=lambda *step: seen.append(step))  # noqa: B023
        logits.append(seen)
    (exact, _), (half, _) = logits[0][0], logits[1][0]
    assert not torch.equal(exact, half)
    assert torch.allclose(exact, half, atol=0.1 * exact.std().item())
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    with pytest.raises(ValueError, match="no bf16 arithmetic"):
        Engine(*models.folders, "bf16")


def test_instruments_in_one_batch_get_what_each_gets_alone(models: Models) -> None:
    engine = Engine(*models.folders)
    x, stamp = series(3, 30, 6)
    together = engine.generate(x, stamp, 4, rule=Rule(), seeds=[1, 2, 3], max_context=64)
    for place in range(3):
        one = slice(place, place + 1)
        alone = engine.generate(x[one], stamp[one], 4, rule=Rule(), seeds=[place + 1], max_context=64)
        assert torch.equal(alone.tokens.s1[0], together.tokens.s1[place])
        assert torch.equal(alone.tokens.s2[0], together.tokens.s2[place])
        assert torch.allclose(alone.candles[0], together.candles[place], atol=1e-5)


def test_the_same_seed_gives_the_same_paths_and_another_others(models: Models) -> None:
    engine = Engine(*models.folders)
    x, stamp = series(1, 30, 6)
    one, same, other = (
        engine.generate(x, stamp, 8, rule=Rule(), seeds=[seed], max_context=64).candles for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_threads_do_not_work_on_each_others_desks(models: Models) -> None:
    engine = Engine(*models.folders)
    x, stamp = series(1, 50, 10)

    def candles(seed: int) -> Any:
        return engine.generate(x, stamp, 8, rule=Rule(), seeds=[seed], max_context=64).candles

    alone = [candles(seed) for seed in range(24)]
    with ThreadPoolExecutor(4) as threads:
        assert all(map(torch.equal, threads.map(candles, range(24)), alone))


@pytest.mark.parametrize("horizon", [0, 32, 33])
def test_a_horizon_that_fills_the_window_is_refused(models: Models, horizon: int) -> None:
    x, stamp = series(1, 30, horizon)
    with pytest.raises(ValueError, match="less than the context of 32"):
        Engine(*models.folders).generate(x, stamp, 1, rule=Rule(), seeds=[0], max_context=32)


def test_a_predictor_of_another_tokenizer_is_refused(models: Models, tmp_path: Path) -> None:
    save(Predictor(replace(PREDICTOR, s2_bits=4)), tmp_path)
    with pytest.raises(CheckpointError, match="s2_bits is 4, but 3 in"):
        Engine(models.folders[0], tmp_path)
