"""A stack of blocks as inference runs it: the context once, its keys and values shared by all paths.

Many paths continue the same context, so a path's keys and values are the context's (computed once, never copied) and
its own few (the suffix). A row attends over both with one softmax. What training computes as several multiplications
is fused here: queries, keys and values are one matrix, and so are both halves of the feed-forward part; the norms'
weights and the scale of the scores are multiplied into the matrices; queries and keys are stored with the two members
of a rotated pair side by side, so that a rotation is one complex multiplication.

B contexts, S paths of each, N = B * S; T context rows, m new rows of each path; H heads, hd wide; d = H * hd.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from kokex.kronos.layers import EPSILON, rotary_frequencies
from kokex.kronos.matrix import Matrix, matrix

Tensors = Mapping[str, Tensor]


def norm(x: Tensor) -> Tensor:
    """RMSNorm without its weight."""
    return F.rms_norm(x, x.shape[-1:], None, EPSILON)


class Memory:
    """Keys and values of one layer: of B contexts, and of the N paths that continue them."""

    def __init__(self, key: Tensor, value: Tensor) -> None:
        """key, value: [B, T, H, hd]"""
        self.contexts, self.length, self.heads, self.width = key.shape
        self.key = key.permute(0, 2, 3, 1).reshape(-1, self.width, self.length)  # [B * H, hd, T]
        self.value = value.transpose(1, 2).reshape(-1, self.length, self.width)  # [B * H, T, hd]
        self.suffix_key = self.suffix_value = key.new_empty(0)  # [N, H, room, hd]
        self.used = 0  # rows of the suffix

    def reserve(self, paths: int, room: int) -> None:
        self.suffix_key = self.key.new_empty(paths, self.heads, room, self.width)
        self.suffix_value = torch.empty_like(self.suffix_key)
        self.used = 0

    def append(self, key: Tensor, value: Tensor) -> None:
        """key, value: [N, m, H, hd]"""
        new = slice(self.used, self.used + key.shape[1])
        self.suffix_key[:, :, new] = key.transpose(1, 2)
        self.suffix_value[:, :, new] = value.transpose(1, 2)
        self.used = new.stop

    def attend(self, query: Tensor) -> Tensor:
        """The newest m rows of each path, already appended: query [N, m, H, hd], scaled -> [N, m, H * hd]"""
        paths, new = query.shape[:2]
        each = paths // self.contexts  # paths of a context: S
        rows = each * new
        q = query.unflatten(0, (self.contexts, -1)).permute(0, 3, 1, 2, 4)  # [B, H, S, m, hd]
        key, value = self.suffix_key[:, :, : self.used], self.suffix_value[:, :, : self.used]
        shared = torch.bmm(q.reshape(-1, rows, self.width), self.key)  # [B * H, S * m, T]
        own = query.transpose(1, 2) @ key.transpose(2, 3)  # [N, H, m, used]
        if new > 1:
            own += torch.full((new, self.used), -torch.inf).triu_(self.used - new + 1)
        own = own.unflatten(0, (self.contexts, -1)).transpose(1, 2).reshape(shared.shape[0], rows, -1)
        weights = torch.cat((shared, own), -1).softmax(-1)
        y = torch.bmm(weights[..., : self.length], self.value)  # [B * H, S * m, hd]
        y = y.view(self.contexts, self.heads, each, new, self.width).permute(0, 2, 3, 1, 4).flatten(0, 1)
        own = weights[..., self.length :].view(self.contexts, self.heads, each, new, self.used)
        mine = own.transpose(1, 2).flatten(0, 1) @ value  # [N, H, m, hd]
        return (y + mine.transpose(1, 2)).flatten(2)


class Block:
    def __init__(self, tensors: Tensors, heads: int) -> None:
        """`tensors`: those of a block of a checkpoint, by their names within it."""
        weights = [tensors[f"self_attn.{each}_proj.weight"] for each in "qkv"]
        biases = [tensors[f"self_attn.{each}_proj.bias"] for each in "qkv"]
        width = weights[0].shape[0] // heads
        for place in (0, 1):
            weights[place] = paired(weights[place], width)
            biases[place] = paired(biases[place], width)
        weights[0], biases[0] = weights[0] * width**-0.5, biases[0] * width**-0.5
        one, two = tensors["norm1.weight"], tensors["norm2.weight"]
        self.qkv: Matrix = matrix(torch.cat(weights) * one, torch.cat(biases))
        self.out: Matrix = matrix(tensors["self_attn.out_proj.weight"], tensors["self_attn.out_proj.bias"])
        self.up: Matrix = matrix(torch.cat((tensors["ffn.w1.weight"], tensors["ffn.w3.weight"])) * two)
        self.down: Matrix = matrix(tensors["ffn.w2.weight"])
        self.heads, self.width = heads, width

    def project(self, x: Tensor, turns: Tensor, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """x: [batch * n, d], turns: [n, 1, hd / 2] complex -> query, key, value [batch, n, H, hd]"""
        qkv = self.qkv(norm(x)).view(batch, -1, 3 * self.heads, self.width)
        pairs = torch.view_as_complex(qkv[:, :, : 2 * self.heads].unflatten(-1, (-1, 2)))
        pairs *= turns
        query, key, value = qkv.split(self.heads, 2)
        return query, key, value

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """What follows the attention. x, attended: [rows, d]; may overwrite x."""
        x = self.out.added(attended, x)
        gate, linear = self.up(norm(x)).chunk(2, -1)
        return self.down.added(F.silu(gate).mul_(linear), x)


class Stack:
    def __init__(self, blocks: list[Block]) -> None:
        self.blocks = blocks

    def prefill(self, x: Tensor, batch: int, *, memory_only: bool = False) -> tuple[Tensor, list[Memory]]:
        """x: [B * T, d] -> the same after all blocks, and what the paths share.

        `memory_only`: nobody wants the rows themselves; the last block then stops at its keys and values.
        """
        memories: list[Memory] = []
        turns = self.turns(0, x.shape[0] // batch)
        for block in self.blocks:
            query, key, value = block.project(x, turns, batch)
            memories.append(Memory(key, value))
            if memory_only and block is self.blocks[-1]:
                break
            q, k, v = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
            y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=1.0)  # [B, H, T, hd]
            x = block.finish(x, y.transpose(1, 2).reshape(x.shape))
        return x, memories

    def extend(self, x: Tensor, memories: list[Memory], turns: Tensor) -> Tensor:
        """x: [N * m, d], m new rows of each path -> the same after all blocks; their keys and values are kept."""
        for block, memory in zip(self.blocks, memories, strict=True):
            query, key, value = block.project(x, turns, memory.suffix_key.shape[0])
            memory.append(key, value)
            x = block.finish(x, memory.attend(query).flatten(0, 1))
        return x

    def turns(self, start: int, count: int) -> Tensor:
        """The rotations at positions `start` on: [count, 1, hd / 2] complex"""
        frequencies = rotary_frequencies(self.blocks[0].width) if self.blocks else torch.zeros(1)
        angles = torch.outer(torch.arange(start, start + count).float(), frequencies)
        return torch.polar(torch.ones_like(angles), angles).unsqueeze(1)


def paired(x: Tensor, width: int) -> Tensor:
    """Puts coordinates i and i + hd / 2 of each head side by side. x: [H * hd, ...]"""
    return x.unflatten(0, (-1, 2, width // 2)).transpose(1, 2).reshape(x.shape)
