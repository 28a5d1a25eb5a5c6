"""A Kronos model among the others that `kokex evaluate forecast` compares."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, final

from kokex.cli.output import Mistake

if TYPE_CHECKING:
    from kokex.research.forecasting.models import Past
    from kokex.research.forecasting.scores import Floats


@final
class KronosPaths:
    """`research.forecasting.models.Forecaster`."""

    def __init__(self, name: str, model: str | Path, horizon: int) -> None:
        """`model`: its name, or a folder as `kokex train` leaves it. Raises Mistake, also for too far a horizon."""
        from kokex.kronos.config import CheckpointError
        from kokex.kronos.returns import Returns

        self.name = name
        try:
            self._returns = Returns(str(model))
        except CheckpointError as error:
            raise Mistake(str(error)) from None
        if horizon > self._returns.longest:
            raise Mistake(
                f"{model}: its context of {self._returns.max_context} candles has no room for a horizon of {horizon}; "
                f"--horizon {self._returns.longest} is the largest"
            )

    def paths(self, past: "Past", future_ns: Sequence[int], samples: int, seed: int) -> "Floats":
        prices = (past.open, past.high, past.low, past.close)
        return self._returns.draw(past.open_ns, prices, past.volume, future_ns, samples, seed)
