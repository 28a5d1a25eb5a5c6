"""Tokens are drawn by upstream's rule: compared with it draw for draw, and as a distribution."""

from typing import Any

import pytest

torch = pytest.importorskip("torch")

from kokex.kronos import native
from kokex.kronos.sampling import Rule, draw
from tests.kronos import reference

RULES = [Rule(), Rule(0.6, 0, 0.9), Rule(1.5, 0, 0.3), Rule(1, 5, 0.9), Rule(2, 3, 1), Rule(1, 0, 1), Rule(1, 0, 0.01)]


@pytest.fixture(params=["native", "torch"], autouse=True)
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "torch":
        monkeypatch.setattr(native, "available", lambda: False)
    elif not native.available():
        pytest.skip("no kernels here")


def some_logits(rows: int, count: int, spread: float) -> Any:
    return torch.randn(rows, count, generator=torch.Generator().manual_seed(4)) * spread


@pytest.mark.parametrize("rule", RULES, ids=str)
@pytest.mark.parametrize("spread", [0.1, 1.0, 6.0])
def test_draw_for_draw_it_is_a_multinomial_of_the_filtered_softmax(rule: Rule, spread: float) -> None:
    logits = some_logits(200, 300, spread)
    for seed in range(10):
        expected = reference.sample(logits, *rule, generator=torch.Generator().manual_seed(seed))
        assert torch.equal(draw(logits.unsqueeze(0), rule, [torch.Generator().manual_seed(seed)]), expected)


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_the_distribution_is_that_of_the_filtered_softmax(rule: Rule) -> None:
    logits = some_logits(1, 12, 1.5)
    draws, generator = 20_000, torch.Generator().manual_seed(5)
    drawn = draw(logits.expand(1, draws, -1), rule, [generator])
    plain = reference.sample(logits.expand(draws, -1), *rule, generator=torch.Generator().manual_seed(6))
    counts = torch.stack([each.bincount(minlength=12) for each in (drawn, plain)]).double()  # [2, V]
    allowed = (counts.sum(0) > 0).sum().item()
    assert torch.equal(counts[0] > 0, reference.filtered(logits / rule.temperature, *rule[1:])[0] > -torch.inf)
    pooled = counts.sum(0)[counts.sum(0) > 0] / 2
    chi_squared = ((counts[:, counts.sum(0) > 0] - pooled) ** 2 / pooled).sum().item()
    freedom = allowed - 1
    assert chi_squared <= freedom + 4 * (2 * freedom) ** 0.5 + 1e-9  # four standard deviations


def test_greedy_takes_the_likeliest_and_needs_no_chance() -> None:
    logits = some_logits(50, 40, 1)
    assert torch.equal(draw(logits.unsqueeze(0), Rule(1, 1, 0.9), [torch.Generator()]), logits.argmax(-1))


@pytest.mark.parametrize(
    ("rule", "wrong"), [(Rule(0), "temperature is 0"), (Rule(1, -1), "top_k is -1"), (Rule(1, 0, 1.1), "top_p is 1.1")]
)
def test_a_rule_that_cannot_be_is_refused(rule: Rule, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        rule.checked()
