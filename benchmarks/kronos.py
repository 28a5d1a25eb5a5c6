"""Kronos on one core: our engine against full recomputation, and against the least this machine could take.

Random weights of the published sizes; lookback 400, horizon 24 (mini: 360, as its official demo). The reference is
tests/kronos/reference.py: every step runs the whole window of every path again. Both draw with the same seed, and must
draw the same tokens. All times are processor seconds of one thread, the best of the rounds, in turns: on a busy machine
the wall clock would measure the neighbours. Of more than one path the reference runs 2 and 4 steps, and the rest
follows, since each step costs the same; of one path both ways are measured, and `linear` is their ratio.

The floor: operations of prefill and tokenizer at the measured rate of matrix multiplication, and for each further step
the larger of its weights at the measured bandwidth of reading and its operations at that rate. That rate is single
precision's, and a weight has four bytes; the engine, where it multiplies in block fixed point, may go below. The same
with that one's rate, and three bytes, is `integer_floor_s`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from kokex.kronos.threads import settle

settle(1)

import torch
from torch import Tensor

from kokex.kronos import matrix, native
from kokex.kronos.arithmetic import Precision
from kokex.kronos.config import PredictorConfig, TokenizerConfig
from kokex.kronos.engine import Engine
from kokex.kronos.loading import load_predictor, load_tokenizer, save
from kokex.kronos.matrix import Kind
from kokex.kronos.predictor import Predictor
from kokex.kronos.sampling import Rule
from kokex.kronos.tokenizer import Tokenizer
from tests.kronos import reference

HORIZON, SAMPLES, ROUNDS = 24, (1, 10, 30), 5
TOKENIZER = TokenizerConfig(
    d_in=6, d_model=256, n_heads=4, ff_dim=512, n_enc_layers=4, n_dec_layers=4, ffn_dropout_p=0.0, attn_dropout_p=0.0,
    resid_dropout_p=0.0, s1_bits=10, s2_bits=10, beta=0.05, gamma0=1.0, gamma=1.1, zeta=0.05, group_size=4,
)  # fmt: skip


def _size(layers: int, width: int, heads: int, inner: int) -> PredictorConfig:
    return PredictorConfig(
        s1_bits=10, s2_bits=10, n_layers=layers, d_model=width, n_heads=heads, ff_dim=inner, ffn_dropout_p=0.2,
        attn_dropout_p=0.0, resid_dropout_p=0.2, token_dropout_p=0.0, learn_te=True,
    )  # fmt: skip


SIZES = {"mini": _size(4, 256, 4, 512), "small": _size(8, 512, 8, 1024), "base": _size(12, 832, 16, 2048)}
LOOKBACK = {"mini": 360, "small": 400, "base": 400}


class Machine(NamedTuple):
    operations_s: float  # of multiplying matrices
    weights_s: float  # of reading them


def cost(work: Callable[[], object]) -> float:
    """Processor seconds."""
    start = time.process_time()
    work()
    return time.process_time() - start


def machine(weights: int, kind: Kind, size: int) -> Machine:
    """As the engine works: 400 rows through a layer's largest matrix, and reading weights of so many bytes each."""
    with torch.inference_mode():
        x, layer = torch.randn(400, 512), kind(torch.randn(2048, 512), None)
        read = torch.randn(weights)
        rate = 2 * 400 * 512 * 2048 / min(cost(lambda: layer(x)) for _ in range(60))
        return Machine(rate, 4 / size * weights / min(cost(read.sum) for _ in range(20)))


def floor_s(size: PredictorConfig, lookback: int, samples: int, of: Machine) -> float:
    d, t = size.d_model, TOKENIZER
    block = 4 * d * d + 3 * d * size.ff_dim
    step = size.n_layers * block + 4 * d * d + 2 * 1024 * d  # weights that a step reads
    coder = 3 * (4 * t.d_model**2 + 3 * t.d_model * t.ff_dim)  # of the encoder, and of the decoder
    attention = 2 * lookback * (size.n_layers * d + 3 * t.d_model)  # causal: half of the pairs
    read = 2 * size.n_layers * block + 4 * d * d + attention
    operations = lookback * (read + 4 * coder) + 2 * coder * samples * HORIZON
    each = max(step / of.weights_s, 2 * step * samples / of.operations_s)
    return operations / of.operations_s + (HORIZON - 1) * each


def inputs(lookback: int, horizon: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(1, lookback, 6, generator=generator).clamp(-5, 5)
    return x, torch.randint(0, 7, (1, lookback + horizon, 5), generator=generator)


class Bench:
    def __init__(self, name: str, folder: Path) -> None:
        torch.manual_seed(0)
        self.name, self.size, self.lookback = name, SIZES[name], LOOKBACK[name]
        self.folders = folder / "tokenizer", folder / name
        save(Tokenizer(TOKENIZER), self.folders[0])
        save(Predictor(self.size), self.folders[1])
        self.engines: dict[Precision, Engine] = {"fp32": Engine(*self.folders)}
        with suppress(ValueError):  # not every processor has it
            self.engines["bf16"] = Engine(*self.folders, "bf16")
        self.plain = load_tokenizer(self.folders[0]), load_predictor(self.folders[1])

    def ours(self, samples: int, seen: Callable[..., None] | None = None, precision: Precision = "fp32") -> Any:
        x, stamp = inputs(self.lookback, HORIZON)
        engine = self.engines[precision]
        return engine.generate(x, stamp, samples, rule=Rule(), seeds=[0], max_context=512, seen=seen)

    def bf16(self, samples: int) -> dict[str, float]:
        """What half precision takes, and what it costs: of the first step's logits."""
        logits: dict[Precision, Tensor] = {}

        def keep(precision: Precision, s1: Tensor, _: Tensor) -> None:
            logits.setdefault(precision, s1[:1].log_softmax(-1))

        for precision in self.engines:
            self.ours(samples, partial(keep, precision), precision)
        exact, half = logits["fp32"], logits["bf16"]
        return {
            "bf16_s": min(cost(lambda: self.ours(samples, precision="bf16")) for _ in range(ROUNDS)),
            "bf16_kl_nats": (exact.exp() * (exact - half)).sum().item(),
        }

    def theirs(self, samples: int, horizon: int = HORIZON, seen: Any = None) -> Any:
        x, stamp = inputs(self.lookback, horizon)
        return reference.forecast(*self.plain, x, stamp, horizon, samples=samples, seed=0, seen=seen)

    def extrapolated(self, samples: int, seen: Any = None) -> float:
        two, four = cost(lambda: self.theirs(samples, 2, seen)), cost(lambda: self.theirs(samples, 4))
        return two + (HORIZON - 2) * (four - two) / 2

    def run(self, samples: int, *, compare: bool, whole: bool) -> dict[str, Any]:
        best = min(cost(lambda: self.ours(samples)) for _ in range(ROUNDS))
        row: dict[str, Any] = {"model": self.name, "lookback": self.lookback, "horizon": HORIZON, "samples": samples}
        if compare:
            logits: list[Any] = []
            expected: list[Any] = []
            made = self.ours(samples, lambda *step: logits.append(step))
            if whole or samples == 1:
                theirs, seconds = self._timed(samples, expected)
                row["same_tokens"] = all(map(torch.equal, made.tokens, theirs[0]))
            else:
                seconds = self.extrapolated(samples, expected)
            pairs = ((a, b) for one, two in zip(logits, expected, strict=False) for a, b in zip(one, two, strict=True))
            row["logits_differ_by"] = max((a - b).abs().max().item() for a, b in pairs)
            row["reference_s"] = seconds
            row["linear"] = self.extrapolated(1) / seconds if samples == 1 else None
        best = min(best, *(cost(lambda: self.ours(samples)) for _ in range(ROUNDS)))
        if "bf16" in self.engines:
            row |= self.bf16(samples)
        least = self.floor(samples, native.Panels if native.available() else matrix.exact(), 4)
        if native.tiles():
            row["integer_floor_s"] = self.floor(samples, native.Digits, 3)
        return row | {
            "ours_s": best,
            "times_faster": row["reference_s"] / best if compare else None,
            "bf16_times_faster": row["reference_s"] / row["bf16_s"] if compare and "bf16_s" in row else None,
            "floor_s": least,
            "over_floor": best / least,
        }

    def floor(self, samples: int, kind: Kind, size: int) -> float:
        weights = sum(each.numel() for each in self.plain[1].parameters())
        return floor_s(self.size, self.lookback, samples, machine(weights, kind, size))

    def _timed(self, samples: int, expected: list[Any]) -> tuple[Any, float]:
        start = time.process_time()
        made = self.theirs(samples, seen=expected)
        return made, time.process_time() - start


def peak_mib(folders: tuple[Path, Path], lookback: int) -> float:
    """Of a process that loads a model and draws 30 paths, and does nothing else."""
    command = [sys.executable, "-m", "benchmarks.kronos", "--peak", *map(str, folders), str(lookback)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def peak(tokenizer: str, model: str, lookback: str) -> None:
    x, stamp = inputs(int(lookback), HORIZON)
    Engine(tokenizer, model).generate(x, stamp, 30, rule=Rule(), seeds=[0], max_context=512)
    high_water = Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]
    print(int(high_water) / 1024)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON document")
    parser.add_argument("--size", choices=list(SIZES), action="append", help="only this one; may be repeated")
    parser.add_argument("--whole", action="store_true", help="the reference's every step (minutes)")
    parser.add_argument("--peak", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.peak:
        peak(*asked.peak)
        return
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.size or SIZES:
            bench = Bench(name, Path(folder))
            for samples in SAMPLES:
                print(f"{name}, {samples} paths", file=sys.stderr)
                rows.append(bench.run(samples, compare=name != "base" or samples == 1, whole=asked.whole))
            rows[-1]["peak_mib"] = peak_mib(bench.folders, bench.lookback)
    if asked.json:
        print(json.dumps({"threads": torch.get_num_threads(), "rows": rows}, indent=2))
        return
    for row in rows:
        faster = f"{row['times_faster']:6.1f} times the reference" if row["times_faster"] else " " * 26
        half = f"  bf16 {row['bf16_s']:7.3f} s" if "bf16_s" in row else ""
        print(
            f"{row['model']:6}{row['samples']:4} paths {row['ours_s']:7.3f} s {faster}"
            f" {row['over_floor']:5.2f} floors{half}"
        )


if __name__ == "__main__":
    main()
