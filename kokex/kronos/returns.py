"""The log returns that a model draws, for whoever compares models: all of its distribution, as training saw candles."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from kokex.kronos.engine import Engine
from kokex.kronos.forecast import FEWEST
from kokex.kronos.registry import resolve
from kokex.kronos.sampling import Rule
from kokex.kronos.training.windows import normalised, series, stamps

CLOSE = 3
ALL = Rule(top_p=1.0)  # what a nucleus leaves out is the tail that a band must hold
_LEAST = 1e-3  # of the last close: no price of a path is lower


class Returns:
    """A model at work."""

    def __init__(self, model: str) -> None:
        """A name or a folder, as `registry.resolve` takes it. Raises CheckpointError."""
        found = resolve(model)
        self._engine = Engine(found.tokenizer, found.model)
        self.max_context = found.max_context

    @property
    def longest(self) -> int:
        """The horizon that leaves the fewest candles to look at."""
        return self.max_context - FEWEST

    def draw(
        self, open_ns: Sequence[int], prices: Sequence[Sequence[float]], volume: Sequence[float],
        future_ns: Sequence[int], samples: int, seed: int,
    ) -> NDArray[np.float64]:  # fmt: skip
        """From the last close to those of the candles that open in the future, (samples, len(future_ns)).

        `prices`: open, high, low, close. Looks at no more candles than leave room for the future. Raises ValueError
        for a future longer than `longest`.
        """
        if len(future_ns) > self.longest:
            raise ValueError(f"horizon is {len(future_ns)}; it must be at most {self.longest}")
        room = self.max_context - len(future_ns)
        past = series("", open_ns[-room:], [column[-room:] for column in prices], volume[-room:])
        values = past.values[None]
        x = normalised(values, len(past))
        stamp = torch.cat([past.stamps, stamps(future_ns)])[None]
        made = self._engine.generate(
            x, stamp, samples, rule=ALL, seeds=[seed], max_context=self.max_context
        ).candles[0, :, :, CLOSE].double()  # fmt: skip
        closes = values[0, :, CLOSE]
        drawn = made * (closes.std(correction=0) + 1e-5) + closes.mean()
        return (drawn / closes[-1]).clamp(min=_LEAST).log().numpy()
