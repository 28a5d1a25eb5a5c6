"""Training from beginning to end: it learns, goes on after a kill as if nothing had happened, and stops in time."""

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

torch = pytest.importorskip("torch")

from kokex.kronos.loading import load_predictor, load_tokenizer
from kokex.kronos.registry import resolve
from kokex.kronos.training.loop import Told
from kokex.kronos.training.ranks import Ranks
from kokex.kronos.training.sizes import SIZES, Recipe, Size
from kokex.kronos.training.stages import Asked, train
from kokex.kronos.training.windows import TrainingError, normalised
from tests.kronos.test_model import PREDICTOR, TOKENIZER
from tests.kronos.training.candles import swinging

ASKED = Asked(context=24, ahead=8, share=0.2, gap=8, windows=8, steps=40, batch=4, learning_rate=3e-3, seed=1)
BOTH = ("tokenizer", "predictor")


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of a few ten thousand parameters, with dropout, on one thread."""
    recipe = Recipe(steps=50, batch=4, learning_rate=3e-3, betas=(0.9, 0.95))
    monkeypatch.setitem(
        SIZES, "nano", Size(tokenizer=TOKENIZER, predictor=PREDICTOR, tokenizer_recipe=recipe, predictor_recipe=recipe)
    )
    torch.set_num_threads(1)


def silent(_: Told) -> None:
    pass


def weights(folder: Path) -> list[bytes]:
    return [(folder / name / "model.safetensors").read_bytes() for name in BOTH]


class Killed(BaseException):
    pass


def test_killed_at_any_step_it_goes_on_with_the_very_same_losses(tmp_path: Path) -> None:
    data = [swinging(300), swinging(250, "Y", 2)]
    train(BOTH, data, ASKED, tmp_path / "whole", Ranks(), silent)

    def killed_at(stage: str, step: int) -> None:
        def tell(told: Told) -> None:
            if (told.stage, told.step) == (stage, step):
                raise Killed

        with pytest.raises(Killed):
            train(BOTH, data, ASKED, tmp_path / "killed", Ranks(), tell)

    for stage, step in (("tokenizer", 1), ("tokenizer", 17), ("tokenizer", 31), ("predictor", 23)):
        killed_at(stage, step)
    train(BOTH, data, ASKED, tmp_path / "killed", Ranks(), silent)
    whole, killed = (json.loads((tmp_path / name / "training.json").read_text()) for name in ("whole", "killed"))
    for stage in BOTH:
        assert len(whole[stage]["losses"]) == 40
        assert killed[stage]["losses"] == whole[stage]["losses"]
        assert killed[stage]["validations"] == whole[stage]["validations"]
    assert weights(tmp_path / "killed") == weights(tmp_path / "whole")


def test_it_learns_to_say_candles_it_has_not_seen(tmp_path: Path) -> None:
    whole = swinging(700)
    asked = Asked(context=24, ahead=8, share=0.2, gap=8, windows=32, steps=120, batch=8, learning_rate=4e-3, seed=1)
    tokenizer, predictor = train(BOTH, [whole], asked, tmp_path, Ranks(), silent)
    assert tokenizer.last_loss < 0.5 * tokenizer.first_loss
    assert predictor.last_loss < 0.7 * predictor.first_loss
    held_out = torch.stack([whole.values[row : row + 32] for row in range(600, 660, 4)])
    x = normalised(held_out, 24)
    model = load_tokenizer(tmp_path / "tokenizer")
    with torch.no_grad():
        error = (model.decode(model.encode(x)) - x)[..., :4].pow(2).mean()
    assert error < 0.2 * x[..., :4].pow(2).mean()


def test_the_same_seed_gives_the_same_model_and_another_another(tmp_path: Path) -> None:
    data = [swinging(300)]
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        train(BOTH, data, replace(ASKED, seed=seed, steps=5), tmp_path / name, Ranks(), silent)
    one, same, other = (weights(tmp_path / name) for name in ("one", "same", "other"))
    assert one == same
    assert one[0] != other[0]


def test_it_stops_when_it_has_not_become_better_for_a_while(tmp_path: Path) -> None:
    asked = replace(ASKED, steps=400, learning_rate=0.2, patience=2)  # far too high: it learns, and loses it again
    (outcome,) = train(["tokenizer"], [swinging(300)], asked, tmp_path, Ranks(), silent)
    assert outcome.steps == outcome.best_step + 2 * 20
    assert outcome.steps < 400


def test_fine_tuning_begins_where_a_checkpoint_is(tmp_path: Path) -> None:
    data = [swinging(300)]
    train(BOTH, data, ASKED, tmp_path / "first", Ranks(), silent)
    begin = str(tmp_path / "first/tokenizer"), str(tmp_path / "first/predictor")
    gentle = replace(ASKED, tokenizer=begin[0], predictor=begin[1], steps=3, learning_rate=1e-5)
    train(BOTH, data, gentle, tmp_path / "tuned", Ranks(), silent)
    for load, name in ((load_tokenizer, "tokenizer"), (load_predictor, "predictor")):
        before, after = load(tmp_path / "first" / name), load(tmp_path / "tuned" / name)
        moved = [(a - b).abs().max().item() for a, b in zip(before.parameters(), after.parameters(), strict=True)]
        assert 0 < max(moved) < 1e-3


def test_a_model_tells_the_context_it_was_trained_with_and_a_longer_one_is_not_forgotten(tmp_path: Path) -> None:
    data = [swinging(300)]
    few = replace(ASKED, steps=1)
    longest = few.context + few.ahead - 1
    train(BOTH, data, few, tmp_path / "first", Ranks(), silent)
    assert resolve(str(tmp_path / "first")).max_context == longest
    begin = replace(few, tokenizer=str(tmp_path / "first/tokenizer"), predictor=str(tmp_path / "first/predictor"))
    for context, told in ((few.context - 8, longest), (few.context + 8, longest + 8)):
        train(BOTH, data, replace(begin, context=context), tmp_path / str(context), Ranks(), silent)
        assert resolve(str(tmp_path / str(context))).max_context == told
    published = tmp_path / "first/predictor/config.json"  # upstream's do not say
    said = json.loads(published.read_text())
    published.write_text(json.dumps({name: value for name, value in said.items() if name != "max_context"}))
    assert resolve(str(tmp_path / "first")).max_context == 512


def test_only_the_predictor_takes_the_tokenizer_as_it_is(tmp_path: Path) -> None:
    data = [swinging(300)]
    train(["tokenizer"], data, ASKED, tmp_path / "first", Ranks(), silent)
    asked = replace(ASKED, tokenizer=str(tmp_path / "first/tokenizer"), steps=3)
    train(["predictor"], data, asked, tmp_path / "second", Ranks(), silent)
    one, other = (tmp_path / name / "tokenizer/model.safetensors" for name in ("first", "second"))
    assert one.read_bytes() == other.read_bytes()


def test_half_precision_halves_the_file_and_reads_back(tmp_path: Path) -> None:
    data = [swinging(300)]
    for name, half in (("whole", False), ("half", True)):
        train(["tokenizer"], data, replace(ASKED, steps=3, half=half), tmp_path / name, Ranks(), silent)
    sizes = [(tmp_path / name / "tokenizer/model.safetensors").stat().st_size for name in ("whole", "half")]
    assert sizes[1] < 0.55 * sizes[0]
    one, other = (load_tokenizer(tmp_path / name / "tokenizer").embed.weight for name in ("whole", "half"))
    assert torch.allclose(one, other, atol=1e-3)
    assert other.dtype == torch.float32


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seed": 2}, "of a training with other candles or settings; name another folder with --out"),
        ({"size": "huge"}, "no size 'huge': there are nano, mini"),
        ({"context": 400}, "too few candles: 300 leave no window of 408"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_written(
    tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    train(["tokenizer"], [swinging(300)], replace(ASKED, steps=2), tmp_path, Ranks(), silent)
    before = {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    with pytest.raises(TrainingError, match=complaint):
        train(["tokenizer"], [swinging(300)], replace(ASKED, steps=2, **change), tmp_path, Ranks(), silent)
    assert {file: file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()} == before


def test_a_predictor_without_a_tokenizer_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="`kokex train tokenizer` makes one"):
        train(["predictor"], [swinging(300)], ASKED, tmp_path, Ranks(), silent)


def test_training_that_only_made_it_worse_is_an_error_and_leaves_no_model(tmp_path: Path) -> None:
    wild = replace(ASKED, learning_rate=1.0)
    for _ in range(2):  # the same again says the same
        with pytest.raises(
            TrainingError, match=r"tokenizer: after 40 steps .* never was below the .* of random weights"
        ):
            train(BOTH, [swinging(300)], wild, tmp_path, Ranks(), silent)
        assert [file.name for file in tmp_path.iterdir()] == ["tokenizer.progress"]


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("tokenizer.progress", None, "cannot be read: damaged, .* remove it"),
        ("tokenizer.progress", b"garbage\n", "cannot be read: damaged, .* remove it"),
        ("training.json", b"{", "damaged, .* remove it"),
        ("training.json", b"[]", "damaged, .* remove it"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(tmp_path: Path, name: str, content: bytes | None, complaint: str) -> None:
    train(["tokenizer"], [swinging(300)], replace(ASKED, steps=2), tmp_path, Ranks(), silent)
    file = tmp_path / name
    file.write_bytes(file.read_bytes()[:1000] if content is None else content)
    with pytest.raises(TrainingError, match=f"^.*/{name}: {complaint}[^\n]*$") as error:
        train(["tokenizer"], [swinging(300)], replace(ASKED, steps=2), tmp_path, Ranks(), silent)
    assert "\n" not in str(error.value)
