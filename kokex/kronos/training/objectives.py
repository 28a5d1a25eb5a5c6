"""The two losses, as upstream has them but for two leaks.

Tokenizer: (MSE of the coarse reconstruction + MSE of the full one + the quantiser's own loss) / 2.
Predictor: mean cross-entropy of the next coarse and fine token; the fine one is told a coarse one drawn from the
model's own distribution, not the true one.

Validation is causal here, in every layer: upstream's looks ahead in the dependency layer when a model is evaluated.
And what a step draws comes with its windows (`Batch.chance`), not from a generator: so it does not depend on how many
processes share the batch.
"""

from typing import Protocol, final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kokex.kronos.predictor import Logits, Predictor, cross_entropy
from kokex.kronos.quantiser import Tokens
from kokex.kronos.tokenizer import Tokenizer
from kokex.kronos.training.ranks import Ranks
from kokex.kronos.training.windows import Batch


class Objective(Protocol):
    """What one stage minimises: `module(*prepared)` is its loss, a mean over the windows."""

    module: nn.Module

    def prepare(self, batch: Batch) -> tuple[Tensor, ...]: ...
    def judge(self, batch: Batch) -> Tensor:
        """What a model is chosen by, a mean over the windows; lower is better."""
        ...


@final
class TokenizerLoss(nn.Module):
    def __init__(self, model: Tokenizer, ranks: Ranks) -> None:
        super().__init__()
        self.model = model
        self._ranks = ranks

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, W, 6]"""
        made = self.model(x, self._ranks.mean)
        return (F.mse_loss(made.coarse, x) + F.mse_loss(made.full, x) + made.loss) / 2


@final
class TokenizerObjective:
    """Judged by the mean square error of the full reconstruction."""

    def __init__(self, model: Tokenizer, ranks: Ranks) -> None:
        self.model = model
        self.module: nn.Module = TokenizerLoss(model, ranks)
        self._device = ranks.device

    def prepare(self, batch: Batch) -> tuple[Tensor, ...]:
        return (batch.x.to(self._device),)

    def judge(self, batch: Batch) -> Tensor:
        (x,) = self.prepare(batch)
        return F.mse_loss(self.model.decode(self.model.encode(x)), x)


@final
class PredictorLoss(nn.Module):
    """The dependency layer is not rotated: that is how every model is used, so it is what is trained here."""

    def __init__(self, model: Predictor) -> None:
        super().__init__()
        self.model = model

    def forward(self, s1: Tensor, s2: Tensor, stamp: Tensor, chance: Tensor) -> Tensor:
        """s1, s2: [B, W], stamp: [B, W, 5], chance: [B, W]: each token is predicted from those before it."""
        tokens = Tokens(s1, s2)
        past, target = (Tokens(*(each[:, cut] for each in tokens)) for cut in (slice(None, -1), slice(1, None)))
        x = self.model.hidden(past, stamp[:, :-1])
        coarse = self.model.head.proj_s1(x)
        sibling = self.model.embedding.emb_s1(drawn(coarse, chance[:, :-1]))
        fine = self.model.head.proj_s2(self.model.dep_layer(x, sibling, rotate=False))
        one, other = cross_entropy(Logits(coarse, fine), target)
        return (one + other) / 2


@final
class PredictorObjective:
    """Judged by the loss itself, in nats."""

    def __init__(self, model: Predictor, tokenizer: Tokenizer, ranks: Ranks) -> None:
        self.model = model
        self.module: nn.Module = PredictorLoss(model)
        self._tokenizer = tokenizer.eval().requires_grad_(requires_grad=False)
        self._device = ranks.device

    def prepare(self, batch: Batch) -> tuple[Tensor, ...]:
        x, stamp, chance = (each.to(self._device) for each in batch)
        return (*self._tokenizer.encode(x), stamp, chance)

    def judge(self, batch: Batch) -> Tensor:
        return self.module(*self.prepare(batch))


def drawn(logits: Tensor, chance: Tensor) -> Tensor:
    """A token by its probability, from one number in [0, 1) each. logits: [B, T, V], chance: [B, T] -> [B, T]"""
    cumulative = logits.detach().float().softmax(-1).cumsum(-1)
    token = torch.searchsorted(cumulative, (chance * cumulative[..., -1]).unsqueeze(-1), right=True)
    return token.squeeze(-1).clamp(max=logits.shape[-1] - 1)
