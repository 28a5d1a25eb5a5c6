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

    def __init__(self, name: str, model: str | Path) -> None:
        """`model`: its name, or a folder as `kokex train` leaves it. Raises Mistake."""
        from kokex.kronos.config import CheckpointError
        from kokex.kronos.returns import Returns

        self.name = name
        try:
            self._returns = Returns(str(model))
        except CheckpointError as error:
            raise Mistake(str(error)) from None

    def paths(self, past: "Past", future_ns: Sequence[int], samples: int, seed: int) -> "Floats":
        prices = (past.open, past.high, past.low, past.close)
        return self._returns.draw(past.open_ns, prices, past.volume, future_ns, samples, seed)
