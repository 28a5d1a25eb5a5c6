"""A stack of blocks as inference runs it: the context once, its keys and values shared by all paths.

Many paths continue the same context, so a path's keys and values are the context's (computed once, never copied) and
its own few (the suffix). A row attends over both with one softmax. What training computes as several multiplications
is fused here: queries, keys and values are one matrix, and so are both halves of the feed-forward part; the norms'
weights and the scale of the scores are multiplied into the matrices; queries and keys are stored with the two members
of a rotated pair side by side, so that a rotation is one complex multiplication.

B contexts, S paths of each, N = B * S; T context rows, m new rows of each path; H heads, hd wide; d = H * hd.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from kokex.kronos.arithmetic import Arithmetic
from kokex.kronos.layers import EPSILON, rotary_frequencies
from kokex.kronos.memory import Memory

Tensors = Mapping[str, Tensor]


class Block:
    def __init__(self, tensors: Tensors, heads: int, by: Arithmetic) -> None:
        """`tensors`: those of a block of a checkpoint, by their names within it."""
        weights = [tensors[f"self_attn.{each}_proj.weight"] for each in "qkv"]
        biases = [tensors[f"self_attn.{each}_proj.bias"] for each in "qkv"]
        width = weights[0].shape[0] // heads
        for place in (0, 1):
            weights[place] = paired(weights[place], width)
            biases[place] = paired(biases[place], width)
        weights[0], biases[0] = weights[0] * width**-0.5, biases[0] * width**-0.5
        length = math.sqrt(weights[0].shape[1])
        one, two = tensors["norm1.weight"] * length, tensors["norm2.weight"] * length
        self.qkv = by.matrix(torch.cat(weights) * one, torch.cat(biases))
        self.out = by.matrix(tensors["self_attn.out_proj.weight"], tensors["self_attn.out_proj.bias"])
        self.up = by.matrix(torch.cat((tensors["ffn.w1.weight"], tensors["ffn.w3.weight"])) * two, None)
        self.down = by.matrix(tensors["ffn.w2.weight"], None)
        self.by, self.heads, self.width = by, heads, width

    def project(self, x: Tensor, turns: Tensor, paths: tuple[int, int]) -> Tensor:
        """x: [B * S * m, d], turns: [m, 1, hd / 2] complex, paths: B, S -> queries, keys, values [3, B, H, S, m, hd]"""
        qkv = self.qkv(self.by.direction(x)).view(*paths, -1, 3 * self.heads, self.width)
        pairs = torch.view_as_complex(qkv[..., : 2 * self.heads, :].unflatten(-1, (-1, 2)))
        pairs *= turns
        return qkv.unflatten(3, (3, self.heads)).permute(3, 0, 4, 1, 2, 5)

    def finish(self, x: Tensor, attended: Tensor) -> Tensor:
        """What follows the attention. x, attended: [rows, d]; may overwrite x."""
        x = self.out.added(attended, x)
        return self.down.added(self.by.gate(self.up(self.by.direction(x))), x)


class Stack:
    def __init__(self, blocks: list[Block], by: Arithmetic) -> None:
        self.blocks = blocks
        self.table = torch.empty(0, 1, 1, dtype=torch.complex64)  # of rotations
        self.fused = None
        if blocks and by.fused:
            weights = [(block.qkv, block.out, block.up, block.down) for block in blocks]
            self.fused = by.fused(weights, blocks[0].heads, blocks[0].heads * blocks[0].width * EPSILON)

    def prefill(self, x: Tensor, batch: int, *, memory_only: bool = False) -> tuple[Tensor, list[Memory]]:
        """x: [B * T, d], which may be overwritten -> the same after all blocks, and what the paths share.

        `memory_only`: nobody wants the rows themselves; the last block then stops at its keys and values.
        """
        turns = self.turns(0, x.shape[0] // batch)
        if self.fused:
            return x, self.fused.read(x, turns, batch, memory_only=memory_only)
        memories: list[Memory] = []
        for block in self.blocks:
            q, k, v = block.project(x, turns, (batch, 1)).squeeze(3)  # [B, H, T, hd]
            if memory_only and block is self.blocks[-1]:
                memories.append(block.by.memory(k, v))
                break
            memory, attended = block.by.memory.read(q, k, v)
            memories.append(memory)
            x = block.finish(x, attended)
        return x, memories

    def extend(self, x: Tensor, memories: list[Memory], turns: Tensor, paths: tuple[int, int]) -> Tensor:
        """x: [N * m, d], m new rows of each path -> the same after all blocks; their keys and values are kept. x may be
        overwritten.

        paths: how many contexts, and paths of each.
        """
        if self.fused:
            self.fused.extend(x, memories, turns, paths[1])
            return x
        for block, memory in zip(self.blocks, memories, strict=True):
            qkv = block.project(x, turns, paths)
            memory.append(qkv[1:])
            x = block.finish(x, memory.attend(qkv[0]))
        return x

    def turns(self, start: int, count: int) -> Tensor:
        """The rotations at positions `start` on: [count, 1, hd / 2] complex"""
        if start + count > len(self.table):
            frequencies = rotary_frequencies(self.blocks[0].width) if self.blocks else torch.zeros(1)
            angles = torch.outer(torch.arange(2 * (start + count)).float(), frequencies)
            self.table = torch.polar(torch.ones_like(angles), angles).unsqueeze(1)
        return self.table[start : start + count]


def paired(x: Tensor, width: int) -> Tensor:
    """Puts coordinates i and i + hd / 2 of each head side by side. x: [H * hd, ...]"""
    return x.unflatten(0, (-1, 2, width // 2)).transpose(1, 2).reshape(x.shape)
