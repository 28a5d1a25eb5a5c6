"""What was read, as the paths that continue it attend to it: torch's way, for any processor. `native` has a faster one.

B contexts, S paths of each; T context rows, m new rows of each path; H heads, hd wide.
"""

from abc import ABC, abstractmethod
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor


class Memory(ABC):
    """Keys and values of one layer: of B contexts, and of the paths that continue them."""

    def __init__(self, key: Tensor, value: Tensor) -> None:
        """The context's: [B, H, T, hd]"""
        self.contexts, self.heads, self.length, self.width = key.shape
        self.suffix = value.new_empty(2, 0, 0, self.width)  # the paths' keys and values: [2, B * H * S, room, hd]
        self.used = 0  # rows of the suffix

    @classmethod
    @abstractmethod
    def read(cls, query: Tensor, key: Tensor, value: Tensor) -> tuple[Self, Tensor]:
        """And the context's own rows, each seeing those up to itself: query [B, H, T, hd], scaled -> [B * T, H * hd]"""

    def reserve(self, paths: int, room: int) -> None:
        """From now on there are so many paths, B * S, of up to `room` rows each; none of them yet."""
        self.suffix = self.suffix.new_empty(2, paths * self.heads, room, self.width)
        self.used = 0

    def append(self, key_value: Tensor) -> None:
        """[2, B, H, S, m, hd]"""
        new = slice(self.used, self.used + key_value.shape[-2])
        self.suffix.unflatten(1, key_value.shape[1:4])[..., new, :] = key_value
        self.used = new.stop

    @abstractmethod
    def attend(self, query: Tensor) -> Tensor:
        """The newest m rows of each path, already appended: query [B, H, S, m, hd], scaled -> [B * S * m, H * hd]"""


class TorchMemory(Memory):
    def __init__(self, key: Tensor, value: Tensor) -> None:
        super().__init__(key, value)
        self.key = key.transpose(2, 3).reshape(-1, self.width, self.length)  # [B * H, hd, T]
        self.value = value.reshape(-1, self.length, self.width)  # [B * H, T, hd]

    @classmethod
    def read(cls, query: Tensor, key: Tensor, value: Tensor) -> tuple[Self, Tensor]:
        y = F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=1.0)
        return cls(key, value), y.transpose(1, 2).flatten(2).flatten(0, 1)

    def attend(self, query: Tensor) -> Tensor:
        new = query.shape[-2]
        q = query.contiguous().view(self.key.shape[0], -1, self.width)  # [B * H, S * m, hd]
        each = q.view(-1, new, self.width)  # [B * H * S, m, hd]
        key, value = self.suffix[:, :, : self.used]
        shared = torch.bmm(q, self.key)  # [B * H, S * m, T]
        own = torch.bmm(each, key.transpose(1, 2))  # [B * H * S, m, used]
        if new > 1:
            own += torch.full((new, self.used), -torch.inf).triu_(self.used - new + 1)
        weights = torch.cat((shared, own.view(*q.shape[:2], self.used)), -1).softmax(-1)
        mine = torch.bmm(weights[..., self.length :].reshape(own.shape), value)  # [B * H * S, m, hd]
        y = mine.view(q.shape).baddbmm_(weights[..., : self.length], self.value)
        return y.view(query.shape).permute(0, 2, 3, 1, 4).reshape(-1, self.heads * self.width)
