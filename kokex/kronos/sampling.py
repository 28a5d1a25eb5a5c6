"""Drawing a token from logits, by upstream's rule and with its stream of chance, without sorting the vocabulary.

Upstream filters (top-k, or else the nucleus of top-p), takes a softmax and calls `torch.multinomial`, which divides
the probabilities by exponential noise and takes the largest. Here the noise is drawn alike, but the largest is
looked for first, and only then is asked whether the filter lets it pass; that is true nine times of ten. Of the
rest the kernel of `native` asks the next largest, torch filters the long way; so does whatever is too close to call.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from kokex.kronos import native

COLDEST = 1e-3  # temperature; logits that are divided by less leave single precision
_CLOSE = 1e-4  # a difference of sums of probabilities that rounding may explain, generously


class Rule(NamedTuple):
    """`top_k` above zero rules out `top_p`, as upstream has it. Greedy is top_k = 1."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 0.9

    def checked(self) -> "Rule":
        """Raises ValueError."""
        if not self.temperature >= COLDEST:
            raise ValueError(f"temperature is {self.temperature}; it must be at least {COLDEST} (greedy is top_k = 1)")
        if self.top_k < 0:
            raise ValueError(f"top_k is {self.top_k}; it must be 0 (off) or more")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p is {self.top_p}; it must be above 0 and at most 1")
        return self


def draw(logits: Tensor, rule: Rule, chance: Sequence[torch.Generator]) -> Tensor:
    """logits: [B, S, V], a generator for each of the B -> tokens [B * S]"""
    count = logits.shape[-1]
    if rule.top_k == 1:
        return logits.argmax(-1).flatten()
    noise = torch.stack([_exponential(each.shape, generator) for each, generator in zip(logits, chance, strict=True)])
    logits, noise = logits.reshape(-1, count), noise.view(-1, count)
    if rule.temperature != 1:
        logits = logits / rule.temperature
    if rule.top_k:
        least = logits.topk(min(rule.top_k, count)).values[:, -1:]
        return logits.masked_fill(logits < least, -torch.inf).softmax(-1).div_(noise).argmax(-1)
    tokens, unsure = (native.choose if native.available() else _choose)(logits, noise, rule.top_p, _CLOSE)
    if unsure.any():
        kept = _nucleus(logits[unsure], rule.top_p)
        tokens[unsure] = kept.softmax(-1).div_(noise[unsure]).argmax(-1)
    return tokens


def _choose(logits: Tensor, noise: Tensor, top_p: float, close: float) -> tuple[Tensor, Tensor]:
    """[N, V] -> tokens [N], and which of them the filter may not let pass."""
    probabilities = logits.softmax(-1)
    tokens = (probabilities / noise).argmax(-1)
    if top_p == 1:
        return tokens, torch.zeros_like(tokens, dtype=torch.bool)
    # A token is in the nucleus when what is likelier does not yet pass top_p.
    chosen = probabilities.gather(1, tokens.unsqueeze(1))
    likelier = (probabilities * (probabilities > chosen)).sum(-1)
    return tokens, likelier > top_p - close


def _exponential(shape: torch.Size, generator: torch.Generator) -> Tensor:
    """What `exponential_` would draw, digit for digit, at a third of the time: it takes its logarithms one by one."""
    uniform = torch.empty(shape, dtype=torch.float64).uniform_(generator=generator)
    return uniform.neg_().log1p_().neg_().float()


def _nucleus(logits: Tensor, top_p: float) -> Tensor:
    """All but the likeliest tokens up to the first that passes `top_p` put out of reach. [N, V]"""
    ordered, places = logits.sort(descending=True)
    past = ordered.softmax(-1).cumsum(-1) > top_p
    past = torch.cat((torch.zeros_like(past[:, :1]), past[:, :-1]), 1)
    return logits.masked_fill(past.scatter(1, places, past), -torch.inf)
