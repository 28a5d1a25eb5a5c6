"""Forecasting as it should be: the context once, then all paths of all instruments a step at a time.

Equal to upstream in every token while context and horizon fit the model's window; beyond it `exact` recomputes what
upstream recomputes (the window slides, so every key and value changes), once for all paths where they agree.
"""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from kokex.kronos.arithmetic import Arithmetic, Precision, arithmetic
from kokex.kronos.config import DEPENDENCY_HEADS, CheckpointError, PredictorConfig, TokenizerConfig, read_config
from kokex.kronos.loading import Checkpoint
from kokex.kronos.matrix import Matrix
from kokex.kronos.memory import Memory
from kokex.kronos.quantiser import Tokens, code_of, tokens_of
from kokex.kronos.sampling import Rule, draw
from kokex.kronos.shapes import STAMPS, shapes_of
from kokex.kronos.stack import Block, Stack
from kokex.kronos.threads import keep_memory


class Paths(NamedTuple):
    """What was generated, of B instruments, S paths each, n steps."""

    tokens: Tokens  # [B, S, n]
    candles: Tensor  # [B, S, n, 6], normalised


class Source:
    """Tensors of a checkpoint by prefix, read a part at a time."""

    def __init__(self, checkpoint: Checkpoint, names: Sequence[str], by: Arithmetic) -> None:
        self._checkpoint, self.by = checkpoint, by
        self._names = [name for name in names if not name.endswith("inv_freq")]

    def part(self, prefix: str) -> dict[str, Tensor]:
        names = [name for name in self._names if name.startswith(prefix)]
        return {name.removeprefix(prefix): tensor for name, tensor in self._checkpoint.read(names).items()}

    def linear(self, prefix: str) -> Matrix:
        tensors = self.part(prefix)
        return self.by.matrix(tensors["weight"], tensors["bias"])

    def stack(self, prefix: str, count: int, heads: int, by: Arithmetic | None = None) -> Stack:
        by = by or self.by
        return Stack([Block(self.part(f"{prefix}.{number}."), heads, by) for number in range(count)], by)


class FastTokenizer:
    def __init__(self, config: TokenizerConfig, source: Source) -> None:
        self.config = config
        self.embed = source.linear("embed.")
        self.encoder = source.stack("encoder", config.n_enc_layers - 1, config.n_heads)
        self.quant_embed = source.linear("quant_embed.")
        self.post_quant_embed = source.linear("post_quant_embed.")
        self.decoder = source.stack("decoder", config.n_dec_layers - 1, config.n_heads)
        self.head = source.linear("head.")

    def encode(self, x: Tensor) -> Tokens:
        """x: [B, T, 6] -> [B, T]"""
        batch, length = x.shape[:2]
        z, _ = self.encoder.prefill(self.embed(x.flatten(0, 1)), batch)
        s1, s2 = tokens_of(self.quant_embed(z), self.config.s1_bits)
        return Tokens(s1.view(batch, length), s2.view(batch, length))

    def decode(self, context: Tokens, paths: Tokens) -> Tensor:
        """The candles of the paths, which continue the context: [B, T], [N, n] -> [N, n, 6]"""
        count, length = paths.s1.shape
        _, memories = self.decoder.prefill(self._embedded(context), context.s1.shape[0], memory_only=True)
        for memory in memories:
            memory.reserve(count, length)
        turns = self.decoder.turns(context.s1.shape[1], length)
        contexts = context.s1.shape[0]
        x = self.decoder.extend(self._embedded(paths), memories, turns, (contexts, count // contexts))
        return self.head(x).view(count, length, -1)

    def _embedded(self, tokens: Tokens) -> Tensor:
        return self.post_quant_embed(code_of(tokens, self.config.s1_bits, self.config.s2_bits).flatten(0, 1))


class Context(NamedTuple):
    """B windows, read; the paths that continue them append to it."""

    memories: list[Memory]
    answers: Memory  # of the dependency layer
    last: Tensor  # [B, d] the last row, normed

    def reserve(self, paths: int, room: int) -> None:
        for memory in (*self.memories, self.answers):
            memory.reserve(paths, room)


class FastPredictor:
    def __init__(self, config: PredictorConfig, source: Source, blocks: Arithmetic) -> None:
        self.config, self.by = config, source.by
        tables, d = source.part("embedding."), config.d_model
        fusion, coarse = tables["fusion_proj.weight"] * math.sqrt(d), tables["emb_s1.weight"]
        self.coarse = F.linear(coarse, fusion[:, :d], tables["fusion_proj.bias"])  # [2**s1_bits, d]
        self.fine = F.linear(tables["emb_s2.weight"], fusion[:, d:])  # [2**s2_bits, d]
        times = source.part("time_emb.")
        self.times = [times[f"{name}_embed.{'weight' if config.learn_te else 'emb.weight'}"] for name in STAMPS]
        self.stack = source.stack("transformer", config.n_layers, config.n_heads, blocks)
        length = math.sqrt(d)
        self.weight = source.part("norm.")["weight"] * length
        layer, width = source.part("dep_layer."), d // DEPENDENCY_HEADS
        query, key, value, out = (
            (layer[f"cross_attn.{name}_proj.weight"], layer[f"cross_attn.{name}_proj.bias"])
            for name in ("q", "k", "v", "out")
        )
        self.questions = F.linear(coarse, *query) * width**-0.5  # [2**s1_bits, d]
        self.answers = source.by.matrix(torch.cat((key[0], value[0])), torch.cat((key[1], value[1])))
        self.out = source.by.matrix(*out)
        head = source.part("head.")
        self.s1_head = source.by.matrix(head["proj_s1.weight"], head["proj_s1.bias"])
        self.s2_head = source.by.matrix(head["proj_s2.weight"] * layer["norm.weight"] * length, head["proj_s2.bias"])

    def embed_times(self, stamp: Tensor) -> Tensor:
        """[B, T, 5] -> [B, T, d]"""
        columns = zip(stamp.unbind(-1), self.times, strict=True)
        return torch.stack([F.embedding(column, table) for column, table in columns]).sum(0)

    def read(self, tokens: Tokens, times: Tensor) -> Context:
        """tokens: [B, T], times: [B, T, d]"""
        batch = tokens.s1.shape[0]
        x, memories = self.stack.prefill((self._embedded(tokens) + times).flatten(0, 1), batch)
        x, answers = self._answers(x, (batch, 1))
        return Context(memories, self.by.memory(*answers.squeeze(3)), x.view(batch, -1, self.config.d_model)[:, -1])

    def extend(self, context: Context, tokens: Tokens, times: Tensor) -> Tensor:
        """m new candles of each path. tokens: [N, m], times: [B, m, d] -> the last row [N, d]"""
        paths, new = tokens.s1.shape
        split = times.shape[0], paths // times.shape[0]
        x = (self._embedded(tokens).unflatten(0, split) + times.unsqueeze(1)).view(paths * new, -1)
        memory = context.memories[0] if context.memories else context.answers
        turns = self.stack.turns(memory.length + memory.used, new)
        x, answers = self._answers(self.stack.extend(x, context.memories, turns, split), split)
        context.answers.append(answers)
        return x.view(paths, new, -1)[:, -1]

    def next_s1(self, last: Tensor) -> Tensor:
        """[N, d] -> logits [N, V]"""
        return self.s1_head(last)

    def next_s2(self, context: Context, last: Tensor, s1: Tensor) -> Tensor:
        """last: [N, d], which may be overwritten, s1: [N] -> logits [N, V]"""
        contexts = context.answers.contexts
        query = F.embedding(s1, self.questions).view(contexts, -1, 1, DEPENDENCY_HEADS, context.answers.width)
        answer = context.answers.attend(query.permute(0, 3, 1, 2, 4))
        return self.s2_head(self.by.direction(self.out.added(answer, last)))

    def _embedded(self, tokens: Tokens) -> Tensor:
        return F.embedding(tokens.s1, self.coarse) + F.embedding(tokens.s2, self.fine)

    def _answers(self, x: Tensor, paths: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """x: [B * S * m, d] -> normed; and what the dependency layer may ask of it, [2, B, H, S, m, hd]"""
        x = self.by.direction(x) * self.weight
        return x, self.answers(x).view(*paths, -1, 2, DEPENDENCY_HEADS, x.shape[-1] // DEPENDENCY_HEADS).permute(
            3, 0, 4, 1, 2, 5
        )


class Engine:
    """A tokenizer and its predictor, ready to forecast."""

    def __init__(self, tokenizer: str | Path, predictor: str | Path, precision: Precision = "fp32") -> None:
        """Folders of checkpoints. `precision`: of the predictor's blocks, where nearly all of the work is; tokens and
        logits are always made in fp32. Raises CheckpointError, ValueError for a precision this processor lacks.
        """
        blocks = arithmetic(precision)
        folders = Path(tokenizer), Path(predictor)
        of_tokenizer, of_predictor = read_config(folders[0], TokenizerConfig), read_config(folders[1], PredictorConfig)
        for name in ("s1_bits", "s2_bits"):
            if getattr(of_tokenizer, name) != getattr(of_predictor, name):
                raise CheckpointError(
                    f"{folders[1]}: {name} is {getattr(of_predictor, name)}, but {getattr(of_tokenizer, name)} in"
                    f" {folders[0]}; a predictor goes with the tokenizer it was trained with"
                )
        with torch.inference_mode():
            self.tokenizer = FastTokenizer(of_tokenizer, _source(folders[0], of_tokenizer))
            self.predictor = FastPredictor(of_predictor, _source(folders[1], of_predictor), blocks)
        keep_memory()

    @torch.inference_mode()
    def generate(
        self, x: Tensor, stamp: Tensor, samples: int, *, rule: Rule, seeds: Sequence[int], max_context: int,
        seen: Callable[[Tensor, Tensor], None] | None = None,
    ) -> Paths:  # fmt: skip
        """Continues B instruments. x: [B, T, 6] normalised, stamp: [B, T + n, 5] int64; a seed for each instrument.

        Where T + n is more than `max_context` the window slides, exactly as upstream's does and as slowly as that
        takes. `seen` is told the logits of each step, [N, V] of s1 and of s2. Raises ValueError for n not below
        `max_context`.
        """
        batch, length = x.shape[:2]
        horizon = stamp.shape[1] - length
        if not 0 < horizon < max_context:
            raise ValueError(f"horizon is {horizon}; it must be at least 1 and less than the context of {max_context}")
        chance = [torch.Generator().manual_seed(seed) for seed in seeds]
        past, times = self.tokenizer.encode(x), self.predictor.embed_times(stamp)
        paths = batch * samples
        made = Tokens(torch.empty(paths, horizon, dtype=torch.int64), torch.empty(paths, horizon, dtype=torch.int64))
        context, start, read = None, 0, 0  # read: of the paths' own candles
        for step in range(horizon):
            if context is None or length + step - start > max_context:
                start = max(0, length + step - max_context)
                context = self.predictor.read(cut(past, start, length), times[:, start:length])
                context.reserve(paths, horizon)
                read = 0
            if step:
                new = times[:, length + read : length + step]
                last = self.predictor.extend(context, cut(made, read, step), new)
                read = step
            else:
                last = context.last.repeat_interleave(samples, 0)
            s1_logits = self.predictor.next_s1(last)
            s1 = draw(s1_logits.view(batch, samples, -1), rule, chance)
            s2_logits = self.predictor.next_s2(context, last, s1)
            s2 = draw(s2_logits.view(batch, samples, -1), rule, chance)
            made.s1[:, step], made.s2[:, step] = s1, s2
            if seen:
                seen(s1_logits, s2_logits)
        del context  # its keys and values, before the tokenizer needs room for its own
        start = max(0, length + horizon - max_context)
        candles = self.tokenizer.decode(cut(past, start, length), made)
        made = Tokens(*(each.view(batch, samples, horizon) for each in made))
        return Paths(made, candles.view(batch, samples, horizon, -1))


def cut(tokens: Tokens, start: int, stop: int) -> Tokens:
    return Tokens(tokens.s1[:, start:stop], tokens.s2[:, start:stop])


def _source(folder: Path, config: TokenizerConfig | PredictorConfig) -> Source:
    shapes = shapes_of(config)
    return Source(Checkpoint(folder, shapes), list(shapes), arithmetic())
