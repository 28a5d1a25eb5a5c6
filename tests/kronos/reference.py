"""Forecasting with nothing clever in it: what upstream does, to hold ours to and to measure it against.

The context is repeated for each path, encoded for each path, and every step runs the whole window of each path
through all layers and both heads again, for the sake of its last row.
"""

from typing import Any

import torch
from torch import Tensor

from kokex.kronos.predictor import Predictor
from kokex.kronos.quantiser import Tokens
from kokex.kronos.tokenizer import Tokenizer


def filtered(logits: Tensor, top_k: int, top_p: float) -> Tensor:
    """Top-k, or else the nucleus: the likeliest tokens up to and including the first that passes `top_p`. [N, V]"""
    if top_k > 0:
        least = logits.topk(min(top_k, logits.shape[-1])).values[:, -1:]
        return logits.masked_fill(logits < least, -torch.inf)
    if top_p < 1:
        ordered, places = logits.sort(descending=True)
        past = ordered.softmax(-1).cumsum(-1) > top_p
        past[:, 1:] = past[:, :-1].clone()
        past[:, 0] = False
        return logits.masked_fill(past.scatter(1, places, past), -torch.inf)
    return logits


def sample(logits: Tensor, temperature: float, top_k: int, top_p: float, generator: torch.Generator) -> Tensor:
    """[N, V] -> [N]"""
    probabilities = filtered(logits / temperature, top_k, top_p).softmax(-1)
    return torch.multinomial(probabilities, 1, generator=generator).squeeze(1)


@torch.inference_mode()
def forecast(
    tokenizer: Tokenizer, predictor: Predictor, x: Tensor, stamp: Tensor, horizon: int, *, max_context: int = 512,
    samples: int = 1, temperature: float = 1.0, top_k: int = 0, top_p: float = 0.9, seed: int = 0,
    seen: list[tuple[Tensor, Tensor]] | None = None,
) -> tuple[Tokens, Tensor]:  # fmt: skip
    """x: [B, T, 6] normalised, stamp: [B, T + horizon, 5] -> tokens [B, S, n], paths [B, S, n, 6] normalised.

    `seen` collects the logits of each step, s1 and s2, [B * S, V].
    """
    generator = torch.Generator().manual_seed(seed)
    length = x.shape[1]
    stamp = stamp.repeat_interleave(samples, 0)
    tokens = tokenizer.encode(x.repeat_interleave(samples, 0))
    for step in range(horizon):
        window = slice(max(0, length + step - max_context), length + step)
        hidden = predictor.hidden(Tokens(tokens.s1[:, window], tokens.s2[:, window]), stamp[:, window])
        s1_logits = predictor.head.proj_s1(hidden)[:, -1]
        s1 = sample(s1_logits, temperature, top_k, top_p, generator)
        sibling = predictor.embedding.emb_s1(s1).unsqueeze(1)
        answer = predictor.dep_layer.cross_attn.attend(sibling, hidden, causal=False, rotate=False)
        s2_logits = predictor.head.proj_s2(predictor.dep_layer.norm(hidden + answer))[:, -1]
        s2 = sample(s2_logits, temperature, top_k, top_p, generator)
        tokens = Tokens(torch.cat([tokens.s1, s1[:, None]], 1), torch.cat([tokens.s2, s2[:, None]], 1))
        if seen is not None:
            seen.append((s1_logits, s2_logits))
    decoded = tokenizer.decode(Tokens(tokens.s1[:, -max_context:], tokens.s2[:, -max_context:]))[:, -horizon:]
    made: Any = [each[:, length:].unflatten(0, (-1, samples)) for each in tokens]
    return Tokens(*made), decoded.unflatten(0, (-1, samples))
