"""What tokenizer and predictor are made of. Names of modules are those of the published checkpoints.

B batch, T time, d width, H heads, hd = d / H, f width within the feed-forward part.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-5
THETA = 10_000.0  # base of the rotary frequencies


def rotary_frequencies(head_dim: int) -> Tensor:
    """[hd / 2]"""
    return 1.0 / THETA ** (torch.arange(0, head_dim, 2).float() / head_dim)


class RMSNorm(nn.Module):
    def __init__(self, d_model: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(d_model))

    def forward(self, x: Tensor) -> Tensor:
        mean_square = x.float().pow(2).mean(-1, keepdim=True)
        return (x.float() * torch.rsqrt(mean_square + EPSILON)).type_as(x) * self.weight


class Rotary(nn.Module):
    """Rotates the pairs (i, i + hd / 2) of queries and keys by their position, counted from the start of the window."""

    inv_freq: Tensor

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.register_buffer("inv_freq", rotary_frequencies(head_dim))

    def forward(self, x: Tensor) -> Tensor:
        """x: [B, H, T, hd]"""
        angles = torch.outer(torch.arange(x.shape[-2], device=x.device).type_as(self.inv_freq), self.inv_freq)
        cos, sin = angles.cos().type_as(x), angles.sin().type_as(x)  # [T, hd / 2]
        one, two = x.chunk(2, dim=-1)
        return torch.cat((one * cos - two * sin, two * cos + one * sin), dim=-1)


class Attention(nn.Module):
    """Causal attention over heads. `forward(x)` is self-attention; the dependency layer calls `attend` as it needs."""

    def __init__(self, d_model: int, n_heads: int, attn_dropout_p: float, resid_dropout_p: float) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.attn_dropout_p = attn_dropout_p
        self.q_proj = nn.Linear(d_model, d_model)
        self.k_proj = nn.Linear(d_model, d_model)
        self.v_proj = nn.Linear(d_model, d_model)
        self.out_proj = nn.Linear(d_model, d_model)
        self.rotary = Rotary(d_model // n_heads)
        self.resid_dropout = nn.Dropout(resid_dropout_p)

    def forward(self, x: Tensor) -> Tensor:
        return self.attend(x, x, causal=True, rotate=True)

    def attend(self, query: Tensor, context: Tensor, *, causal: bool, rotate: bool) -> Tensor:
        """query: [B, Tq, d], context: [B, T, d] -> [B, Tq, d]"""
        q = self._heads(self.q_proj(query))
        k, v = self._heads(self.k_proj(context)), self._heads(self.v_proj(context))
        if rotate:
            q, k = self.rotary(q), self.rotary(k)
        dropout_p = self.attn_dropout_p if self.training else 0.0
        y = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout_p, is_causal=causal)  # [B, H, Tq, hd]
        return self.resid_dropout(self.out_proj(y.transpose(1, 2).flatten(2)))

    def _heads(self, x: Tensor) -> Tensor:
        """[B, T, d] -> [B, H, T, hd]"""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)


class FeedForward(nn.Module):
    """SwiGLU (Shazeer 2020)."""

    def __init__(self, d_model: int, ff_dim: int, ffn_dropout_p: float) -> None:
        super().__init__()
        self.w1 = nn.Linear(d_model, ff_dim, bias=False)
        self.w3 = nn.Linear(d_model, ff_dim, bias=False)
        self.w2 = nn.Linear(ff_dim, d_model, bias=False)
        self.ffn_dropout = nn.Dropout(ffn_dropout_p)

    def forward(self, x: Tensor) -> Tensor:
        return self.ffn_dropout(self.w2(F.silu(self.w1(x)) * self.w3(x)))


class Block(nn.Module):
    """Pre-norm: attention, then the feed-forward part, each added to what came in."""

    def __init__(
        self,
        d_model: int,
        n_heads: int,
        ff_dim: int,
        ffn_dropout_p: float,
        attn_dropout_p: float,
        resid_dropout_p: float,
    ) -> None:
        super().__init__()
        self.norm1 = RMSNorm(d_model)
        self.self_attn = Attention(d_model, n_heads, attn_dropout_p, resid_dropout_p)
        self.norm2 = RMSNorm(d_model)
        self.ffn = FeedForward(d_model, ff_dim, ffn_dropout_p)

    def forward(self, x: Tensor) -> Tensor:
        """[B, T, d] -> [B, T, d]"""
        x = x + self.self_attn(self.norm1(x))
        return x + self.ffn(self.norm2(x))
