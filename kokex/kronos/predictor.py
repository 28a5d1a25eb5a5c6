"""The predictor: a causal transformer over pairs of tokens, the coarse one predicted first, the fine one given it.

tokens [B, T], stamp [B, T, 5] -> embedding + time_emb -> blocks, norm -> x [B, T, d]
x -> head.proj_s1 -> logits of s1;  x, s1 -> dep_layer -> head.proj_s2 -> logits of s2
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kokex.kronos.config import DEPENDENCY_HEADS, PredictorConfig
from kokex.kronos.layers import Attention, Block, RMSNorm
from kokex.kronos.quantiser import Tokens
from kokex.kronos.shapes import STAMPS


class Logits(NamedTuple):
    s1: Tensor  # [B, T, 2**s1_bits]
    s2: Tensor  # [B, T, 2**s2_bits]


class TokenEmbedding(nn.Module):
    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        d = config.d_model
        self.emb_s1 = nn.Embedding(1 << config.s1_bits, d)
        self.emb_s2 = nn.Embedding(1 << config.s2_bits, d)
        self.fusion_proj = nn.Linear(2 * d, d)

    def forward(self, tokens: Tokens) -> Tensor:
        """[B, T] -> [B, T, d]"""
        both = torch.cat([self.emb_s1(tokens.s1), self.emb_s2(tokens.s2)], dim=-1)
        return self.fusion_proj(both * math.sqrt(self.emb_s1.embedding_dim))


class Sinusoids(nn.Module):
    """A table that is not learned."""

    def __init__(self, count: int, d_model: int) -> None:
        super().__init__()
        angles = torch.outer(torch.arange(count).float(), 10_000.0 ** (-torch.arange(0, d_model, 2).float() / d_model))
        table = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)  # [count, d]: sin, cos, sin, cos ...
        self.emb = nn.Embedding(count, d_model)
        self.emb.weight = nn.Parameter(table, requires_grad=False)

    def forward(self, index: Tensor) -> Tensor:
        return self.emb(index)


class TimeEmbedding(nn.Module):
    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        kind = nn.Embedding if config.learn_te else Sinusoids
        for name, count in STAMPS.items():
            setattr(self, f"{name}_embed", kind(count, config.d_model))

    def forward(self, stamp: Tensor) -> Tensor:
        """[B, T, 5] -> [B, T, d]"""
        columns = stamp.long().unbind(-1)
        parts = {name: getattr(self, f"{name}_embed")(c) for name, c in zip(STAMPS, columns, strict=True)}
        return parts["hour"] + parts["weekday"] + parts["day"] + parts["month"] + parts["minute"]


class DependencyLayer(nn.Module):
    """Lets the fine token see the coarse one: the latter's embedding asks, the context answers."""

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        heads, attn_p, resid_p = DEPENDENCY_HEADS, config.attn_dropout_p, config.resid_dropout_p
        self.cross_attn = Attention(config.d_model, heads, attn_p, resid_p)
        self.norm = RMSNorm(config.d_model)

    def forward(self, x: Tensor, sibling: Tensor, *, rotate: bool = True) -> Tensor:
        """Each row asks for itself, causally. Rotated as the published models were trained, not rotated as all of them
        are used. x, sibling: [B, T, d] -> [B, T, d]"""
        return self.norm(x + self.cross_attn.attend(sibling, x, causal=True, rotate=rotate))

    def last(self, x: Tensor, sibling: Tensor) -> Tensor:
        """As it is used: one row asks, of all of the context, and nothing is rotated.

        That differs from training (a query alone has position 0, and so had its keys), but it is how the published
        models have always forecast. x: [B, T, d], sibling: [B, 1, d] -> [B, 1, d]
        """
        return self.norm(x[:, -1:] + self.cross_attn.attend(sibling, x, causal=False, rotate=False))


class DualHead(nn.Module):
    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.proj_s1 = nn.Linear(config.d_model, 1 << config.s1_bits)
        self.proj_s2 = nn.Linear(config.d_model, 1 << config.s2_bits)


class Predictor(nn.Module):
    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.config = c = config
        self.token_drop = nn.Dropout(c.token_dropout_p)
        self.embedding = TokenEmbedding(c)
        self.time_emb = TimeEmbedding(c)
        self.transformer = nn.ModuleList(
            Block(c.d_model, c.n_heads, c.ff_dim, c.ffn_dropout_p, c.attn_dropout_p, c.resid_dropout_p)
            for _ in range(c.n_layers)
        )
        self.norm = RMSNorm(c.d_model)
        self.dep_layer = DependencyLayer(c)
        self.head = DualHead(c)
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.xavier_normal_(module.weight)
            for bias in (tensor for name, tensor in module.named_parameters() if name == "bias"):
                nn.init.zeros_(bias)
        elif isinstance(module, nn.Embedding) and module.weight.requires_grad:
            nn.init.normal_(module.weight, std=self.config.d_model**-0.5)

    def forward(self, tokens: Tokens, stamp: Tensor, s1: Tensor | None = None) -> Logits:
        """The logits of each next pair. tokens: [B, T], stamp: [B, T, 5]: of the candles themselves.

        `s1`: [B, T] what the fine token is conditioned on, the next s1 for teacher forcing; None draws it from
        the model's own distribution, as the published models were trained.
        """
        x = self.hidden(tokens, stamp)
        s1_logits = self.head.proj_s1(x)
        if s1 is None:
            probabilities = s1_logits.detach().float().softmax(-1)
            s1 = torch.multinomial(probabilities.flatten(0, 1), 1).view_as(tokens.s1)
        sibling = self.embedding.emb_s1(s1)  # the bare table: neither scaled nor fused
        return Logits(s1_logits, self.head.proj_s2(self.dep_layer(x, sibling)))

    def hidden(self, tokens: Tokens, stamp: Tensor) -> Tensor:
        """[B, T, d], normed"""
        x = self.token_drop(self.embedding(tokens) + self.time_emb(stamp))
        for block in self.transformer:
            x = block(x)
        return self.norm(x)

    def next_s2(self, x: Tensor, s1: Tensor) -> Tensor:
        """The logits of the fine token after the last row, as forecasting uses them. x: [B, T, d], s1: [B] -> [B, V]"""
        sibling = self.embedding.emb_s1(s1).unsqueeze(1)
        return self.head.proj_s2(self.dep_layer.last(x, sibling)).squeeze(1)


def cross_entropy(logits: Logits, targets: Tokens) -> tuple[Tensor, Tensor]:
    """Of s1 and of s2, in nats; the loss of training is their mean."""
    s1 = F.cross_entropy(logits.s1.flatten(0, 1), targets.s1.flatten())
    return s1, F.cross_entropy(logits.s2.flatten(0, 1), targets.s2.flatten())
