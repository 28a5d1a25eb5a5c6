"""The indicator values of one instrument, and the thresholds on them that make an edge."""

from typing import Literal, Protocol

from msgspec import Struct

from kokex.market.hysteresis import Hysteresis, Spike, significance
from kokex.market.indicators import ATR, RSI, RateOfChange, RealisedVolatility, VolumeZScore
from kokex.messages import Candle

SHORT, LONG = 20, 120  # candles of the two volatilities that are compared


class Thresholds(Protocol):
    """The levels of [edges] in the configuration."""

    @property
    def rsi_high(self) -> float: ...
    @property
    def rsi_high_release(self) -> float: ...
    @property
    def rsi_low(self) -> float: ...
    @property
    def rsi_low_release(self) -> float: ...
    @property
    def volume_z(self) -> float: ...
    @property
    def volume_z_release(self) -> float: ...
    @property
    def volatility_ratio(self) -> float: ...
    @property
    def volatility_ratio_release(self) -> float: ...
    @property
    def spike_sigma(self) -> float: ...


class Crossing(Struct, frozen=True, gc=False):
    """A threshold was crossed."""

    source: str
    kind: Literal["up", "down", "spike", "calm", "signal"]
    score: float  # 0..1
    value: float
    note: str


class Watch:
    """Streaming indicators of one instrument with a hysteresis on each that can wake somebody."""

    def __init__(self, levels: Thresholds) -> None:
        self._rsi = RSI(14)
        self._atr = ATR(14)
        self._roc = RateOfChange(10)
        self._short = RealisedVolatility(SHORT)
        self._long = RealisedVolatility(LONG)
        self._volume = VolumeZScore(SHORT)
        self._spike = Spike(levels.spike_sigma, levels.spike_sigma / 2)
        self._spike_sigma = levels.spike_sigma
        self._gates = (  # source of the edge, indicator, thresholds
            ("rsi_high", "rsi", Hysteresis(levels.rsi_high, levels.rsi_high_release)),
            ("rsi_low", "rsi", Hysteresis(levels.rsi_low, levels.rsi_low_release)),
            ("volume_z", "volume_z", Hysteresis(levels.volume_z, levels.volume_z_release)),
            (
                "volatility_ratio",
                "volatility_ratio",
                Hysteresis(levels.volatility_ratio, levels.volatility_ratio_release),
            ),
        )
        self._values: dict[str, float] = {}
        self.warm = False

    def update(self, candle: Candle) -> list[Crossing]:
        """The thresholds this candle crossed, in a fixed order."""
        close = candle.close
        rsi = self._rsi.update(close)
        short, long = self._short.update(close), self._long.update(close)
        found = {
            "rsi": rsi,
            "atr": self._atr.update(candle),
            "rate_of_change": self._roc.update(close),
            "volatility": short,
            "volatility_ratio": short / long if short is not None and long else None,
            "volume_z": self._volume.update(candle.volume),
        }
        self._values = {name: value for name, value in found.items() if value is not None}
        self.warm = long is not None  # it looks back the farthest; of a price that never moved there is no ratio
        crossings: list[Crossing] = []
        for source, indicator, gate in self._gates:
            value = found[indicator]
            if value is not None and (kind := gate.update(value)) is not None:
                score = significance(value, gate.arm, gate.release)
                what = f"released at {gate.release:g}" if kind == "calm" else f"crossed {gate.arm:g}"
                crossings.append(Crossing(source, kind, score, value, f"{indicator} {value:.3g} {what}"))
        if (event := self._spike.update(close)) is not None:
            z = self._spike.z
            score = significance(abs(z), self._spike_sigma, self._spike_sigma / 2)
            crossings.append(Crossing("spike", event, score, z, f"moved {z:.1f} standard deviations in one candle"))
        return crossings

    def values(self) -> dict[str, float]:
        """Each indicator that has a value, by name."""
        return dict(self._values)
