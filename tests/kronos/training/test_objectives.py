"""The losses: upstream's, without its leak, and the predictor is trained to do what it will be asked to do."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional as F

from kokex.kronos.predictor import Predictor
from kokex.kronos.quantiser import Tokens
from kokex.kronos.tokenizer import Tokenizer
from kokex.kronos.training.objectives import PredictorLoss, PredictorObjective, TokenizerLoss, drawn
from kokex.kronos.training.ranks import Ranks
from kokex.kronos.training.windows import Batch, Windows
from tests.kronos.test_model import PREDICTOR, TOKENIZER
from tests.kronos.training.candles import swinging


def batch(count: int = 3) -> Batch:
    starts = torch.tensor([[0, row] for row in range(20)])
    return Windows([swinging(100)], 16, 4).drawn(starts, count, seed=1, step=0)


def test_the_tokenizer_s_loss_is_half_of_both_errors_and_the_quantiser_s() -> None:
    torch.manual_seed(1)
    model, x = Tokenizer(TOKENIZER), batch().x
    made = model(x)
    expected = (((made.coarse - x) ** 2).mean() + ((made.full - x) ** 2).mean() + made.loss) / 2
    assert TokenizerLoss(model, Ranks())(x).item() == pytest.approx(expected.item())


def test_the_predictor_is_trained_and_judged_on_what_it_will_be_asked_to_do() -> None:
    """Token after token, each from those before it alone: so nothing looks ahead either."""
    torch.manual_seed(2)
    model = Predictor(PREDICTOR).eval()
    s1, s2 = torch.randint(0, 32, (2, 9)), torch.randint(0, 8, (2, 9))
    stamp, chance = torch.zeros(2, 9, 5, dtype=torch.long), torch.rand(2, 9)
    losses: list[Any] = []
    with torch.no_grad():
        for length in range(1, 9):  # forecasting, one token after the other
            x = model.hidden(Tokens(s1[:, :length], s2[:, :length]), stamp[:, :length])
            coarse = model.head.proj_s1(x)
            sibling = drawn(coarse, chance[:, :length])[:, -1]
            fine = model.next_s2(x, sibling)
            losses += [F.cross_entropy(coarse[:, -1], s1[:, length]), F.cross_entropy(fine, s2[:, length])]
        trained = PredictorLoss(model)(s1, s2, stamp, chance)
    assert trained.item() == pytest.approx(torch.stack(losses).mean().item(), abs=1e-5)


def test_a_tokenizer_that_is_frozen_gets_no_gradient() -> None:
    tokenizer = Tokenizer(TOKENIZER)
    objective = PredictorObjective(Predictor(PREDICTOR), tokenizer, Ranks())
    objective.module(*objective.prepare(batch())).backward()
    assert all(each.grad is None for each in tokenizer.parameters())
    assert all(each.grad is not None for name, each in objective.module.named_parameters() if "rotary" not in name)


def test_tokens_are_drawn_by_their_probability() -> None:
    logits = torch.tensor([0.0, 1.0, -1.0, float("-inf")]).expand(1, 40_000, 4)
    token = drawn(logits, torch.rand(1, 40_000, generator=torch.Generator().manual_seed(4)))
    shares = torch.bincount(token.flatten(), minlength=4) / 40_000
    assert torch.allclose(shares, logits[0, 0].softmax(-1), atol=0.01)
    assert shares[3] == 0
