"""The tokenizer: candles to pairs of tokens and back. Everything in it is causal.

x [B, T, 6] -> embed, encoder -> z [B, T, k] -> quantised -> tokens s1, s2 [B, T]
tokens -> code [B, T, k] -> decoder, head -> x [B, T, 6]
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kokex.kronos.config import TokenizerConfig
from kokex.kronos.layers import Block
from kokex.kronos.quantiser import Tokens, alone, code_of, on_sphere, quantisation_loss, quantise, tokens_of


class Reconstruction(NamedTuple):
    """What training looks at."""

    coarse: Tensor  # [B, T, 6] from the s1 bits alone
    full: Tensor  # [B, T, 6]
    loss: Tensor  # of the quantisation, scalar


class Tokenizer(nn.Module):
    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        d = config.d_model
        self.embed = nn.Linear(config.d_in, d)
        self.encoder = nn.ModuleList(self._block() for _ in range(config.n_enc_layers - 1))
        self.quant_embed = nn.Linear(d, config.bits)
        self.post_quant_embed_pre = nn.Linear(config.s1_bits, d)
        self.post_quant_embed = nn.Linear(config.bits, d)
        self.decoder = nn.ModuleList(self._block() for _ in range(config.n_dec_layers - 1))
        self.head = nn.Linear(d, config.d_in)

    def _block(self) -> Block:
        c = self.config
        return Block(c.d_model, c.n_heads, c.ff_dim, c.ffn_dropout_p, c.attn_dropout_p, c.resid_dropout_p)

    def forward(self, x: Tensor, over_all: Callable[[Tensor], Tensor] = alone) -> Reconstruction:
        """x: [B, T, 6], normalised. `over_all`: see `quantisation_loss`."""
        z = on_sphere(self.bits(x))
        code = quantise(z)
        coarse = self._decoded(self.post_quant_embed_pre(code[..., : self.config.s1_bits]))
        full = self._decoded(self.post_quant_embed(code))
        return Reconstruction(coarse, full, quantisation_loss(z, code, self.config, over_all))

    def bits(self, x: Tensor) -> Tensor:
        """[B, T, 6] -> [B, T, k] before quantisation."""
        x = self.embed(x)
        for block in self.encoder:
            x = block(x)
        return self.quant_embed(x)

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tokens:
        """x: [B, T, 6], normalised -> [B, T]"""
        return tokens_of(quantise(on_sphere(self.bits(x))), self.config.s1_bits)

    def decode(self, tokens: Tokens) -> Tensor:
        """[B, T] -> [B, T, 6], normalised"""
        return self._decoded(self.post_quant_embed(code_of(tokens, self.config.s1_bits, self.config.s2_bits)))

    def _decoded(self, x: Tensor) -> Tensor:
        for block in self.decoder:
            x = block(x)
        return self.head(x)
