"""Binary spherical quantisation (Zhao, Xiong and Krahenbuhl 2024, arXiv 2406.07548).

A vector is put on the unit sphere and each of its k coordinates rounded to +-1/sqrt(k): k bits. The first s1_bits of
them are the coarse token, the rest the fine one; bit j of a token counts 2**j.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from kokex.kronos.config import TokenizerConfig


class Tokens(NamedTuple):
    """One pair for each candle, int64, same shape."""

    s1: Tensor
    s2: Tensor


def quantise(z: Tensor) -> Tensor:
    """z: [..., k] on the unit sphere -> +-1/sqrt(k); gradients pass straight through."""
    signs = torch.where(z > 0, 1.0, -1.0).type_as(z)
    return (z + (signs - z).detach()) * z.shape[-1] ** -0.5


def tokens_of(code: Tensor, s1_bits: int) -> Tokens:
    """code: [..., k], only its signs matter -> tokens [...]"""
    bits = code > 0
    return Tokens(_number(bits[..., :s1_bits]), _number(bits[..., s1_bits:]))


def code_of(tokens: Tokens, s1_bits: int, s2_bits: int) -> Tensor:
    """tokens: [...] -> code [..., k]: the inverse of `tokens_of`."""
    bits = torch.cat([_bits(tokens.s1, s1_bits), _bits(tokens.s2, s2_bits)], dim=-1)
    return (bits.float() * 2 - 1) * (s1_bits + s2_bits) ** -0.5


def alone(mean: Tensor) -> Tensor:
    """The mean over all windows there are, where this process has all of them."""
    return mean


def quantisation_loss(
    z: Tensor, code: Tensor, config: TokenizerConfig, over_all: Callable[[Tensor], Tensor] = alone
) -> Tensor:
    """Commitment to the code, certainty of each bit, and use of the whole codebook. z, code: [..., k] -> scalar.

    `over_all` makes a mean over these windows one over those of all processes.
    """
    commitment = ((code.detach() - z) ** 2).sum(-1).mean()
    p = torch.sigmoid(-4 * z * z.shape[-1] ** -0.5)
    p = torch.stack([p, 1 - p], dim=-1)  # [..., k, 2]: each bit's soft assignment
    of_one = _entropy(p).sum(-1).mean()
    of_all = _entropy(over_all(p.flatten(0, -3).mean(0))).sum()
    return config.beta * commitment + config.zeta * (config.gamma0 * of_one - config.gamma * of_all)


def on_sphere(z: Tensor) -> Tensor:
    return F.normalize(z, dim=-1)


def _entropy(p: Tensor) -> Tensor:
    return -(p * torch.log(p + 1e-8)).sum(-1)


def _number(bits: Tensor) -> Tensor:
    return (bits.long() << torch.arange(bits.shape[-1], device=bits.device)).sum(-1)


def _bits(token: Tensor, count: int) -> Tensor:
    return token.unsqueeze(-1) >> torch.arange(count, device=token.device) & 1
