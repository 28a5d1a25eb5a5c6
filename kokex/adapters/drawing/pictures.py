"""`kokex.ports.chat.Pictures`: what is to be drawn is read beside the daemon, and drawn in a short-lived process."""

from collections.abc import Mapping
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any, Protocol, final

import anyio
import msgspec

from kokex.adapters.drawing.chart import Bar, Chart, Mark
from kokex.adapters.drawing.draw import Drawing, DrawingError, command, judge
from kokex.adapters.drawing.fan import Fan
from kokex.adapters.sqlite import queries, reports
from kokex.adapters.sqlite.reader import Reader
from kokex.config import Config
from kokex.market.candles import Resampler
from kokex.messages import Candle, Decision, Fill, Forecast
from kokex.ports import StoreError
from kokex.present.words import age, pct, price

BARS = 120
PATIENCE_S = 60.0
DAYS_NS = 30 * 86_400_000_000_000  # of an equity curve

Args = Mapping[str, str]


class Committing(Protocol):
    async def commit(self) -> None: ...


@final
class ChildPictures:
    """Files in `folder`; whoever shows one removes it."""

    def __init__(self, path: Path, store: Committing, config: Config, folder: str) -> None:
        self._path = path
        self._store = store
        self._config = config
        self._folder = Path(folder)
        self._numbers = count(1)

    async def draw(self, verb: str, args: dict[str, str], now_ns: int) -> dict[str, Any]:
        path = self._folder / f"{verb}-{next(self._numbers)}.png"
        try:
            await self._store.commit()
            what, caption = await anyio.to_thread.run_sync(self.read, verb, args, now_ns)
            with anyio.fail_after(PATIENCE_S):
                child = await anyio.run_process(command(path), input=msgspec.json.encode(what), check=False)
            judge(child.returncode, child.stderr, path)
        except TimeoutError:
            return {"error": f"not drawn within {PATIENCE_S:.0f} s"}
        except (StoreError, DrawingError, ValueError) as error:
            return {"error": str(error).removeprefix(f"{path}: ")}
        return {"picture": str(path), "caption": caption}

    def read(self, verb: str, args: Args, now_ns: int) -> tuple[Drawing | Chart, str]:
        """What is to be drawn, and its caption. Raises StoreError; ValueError when there is nothing."""
        with Reader(self._path) as reader:
            return self._equity(reader, args, now_ns) if verb == "equity" else self._chart(reader, args, now_ns)

    def _equity(self, reader: Reader, args: Args, now_ns: int) -> tuple[Drawing, str]:
        """The sum over the accounts, stepwise."""
        last: dict[str, float] = {}
        points: list[tuple[int, float]] = []
        for account, at, worth in reader.ask(reports.equity(args.get("account"), now_ns - DAYS_NS)):
            last[account] = worth
            points.append((at, sum(last.values())))
        if len(points) < 2:
            raise ValueError("not enough on record to draw a curve")
        currency = self._config.resolved_instruments()[0].quote
        title = f"Equity of {args['account']}" if "account" in args else "Equity"
        change = points[-1][1] / points[0][1] - 1
        moved = f"{pct(100 * change, signed=True)} in {age(now_ns - points[0][0])}"
        return Drawing(points, title, currency), f"{title}: {points[-1][1]:,.2f} {currency}, {moved}"

    # ---- candles

    def _chart(self, reader: Reader, args: Args, now_ns: int) -> tuple[Chart, str]:
        symbol, span_ns = args["instrument"], self._span(args["instrument"])
        bars = self._bars(reader, symbol, span_ns, int(args.get("last", BARS)))
        if not bars:
            raise ValueError(f"no candles of {symbol} on record")
        since_ns, close = bars[0][0], bars[-1][4]
        forecast = reader.ask(reports.forecast(symbol))
        fresh = forecast is not None and forecast.close_ns > since_ns
        low, high = min(bar[3] for bar in bars), max(bar[2] for bar in bars)
        change = pct(100 * (close / bars[0][1] - 1), signed=True)
        return (
            Chart(
                title=f"{symbol}, {age(span_ns)}",
                summary=f"{price(close)} ({change})   ·   low {price(low)}   ·   high {price(high)}",
                span_ns=span_ns,
                bars=tuple(bars),
                marks=(*self._wanted(reader, symbol, since_ns), *self._traded(reader, symbol, since_ns)),
                fan=_fan(forecast) if forecast is not None and fresh and forecast.steps else None,
                stop=self._stop(reader, symbol),
            ),
            f"{symbol} {price(close)} ({change} over {age(len(bars) * span_ns)})",
        )

    def _span(self, symbol: str) -> int:
        """The timeframe that the instrument's first plan looks at."""
        plans = (plan for plan in self._config.resolved_plans() if symbol in plan.instruments)
        return next((plan.timeframe_ns for plan in plans), self._config.market.span_ns)

    def _bars(self, reader: Reader, symbol: str, span_ns: int, last: int) -> list[Bar]:
        base_ns = self._config.market.span_ns
        found = reader.ask(queries.candles(symbol, base_ns, last * span_ns // base_ns))
        if span_ns != base_ns:
            resampler = Resampler(span_ns, base_ns)
            found = [whole for candle in found for whole in resampler.push(candle)]
        return [_bar(candle) for candle in found[-last:]]

    def _traded(self, reader: Reader, symbol: str, since_ns: int) -> list[Mark]:
        found = reader.ask(queries.journal(kinds=("Fill",), last=500))
        return [
            Mark(each.filled_ns, float(each.price), each.side == "buy", True)
            for each in found
            if isinstance(each, Fill) and each.instrument == symbol and each.filled_ns >= since_ns
        ]

    def _wanted(self, reader: Reader, symbol: str, since_ns: int) -> list[Mark]:
        found: list[tuple[Decision, str]] = reader.ask(reports.decisions(None, 500))
        return [
            Mark(made.at, made.price, made.act == "open_long", False)
            for made, _ in found
            if made.instrument == symbol and made.at >= since_ns and made.act in {"open_long", "open_short"}
        ]

    def _stop(self, reader: Reader, symbol: str) -> float | None:
        records = reader.ask(queries.orders(open_only=True))
        stops: list[Decimal] = [
            record.order.trigger
            for record in records
            if record.order.instrument == symbol and record.order.trigger is not None and record.order.reduce_only
        ]
        return float(stops[-1]) if stops else None


def _bar(candle: Candle) -> Bar:
    return (candle.open_ns, candle.open, candle.high, candle.low, candle.close, candle.volume)


def _fan(forecast: Forecast) -> Fan:
    bands = tuple(
        (forecast.close_ns + number * forecast.span_ns, step.q05, step.q25, step.q50, step.q75, step.q95)
        for number, step in enumerate(forecast.steps, 1)
    )
    return Fan(forecast.close_ns, forecast.price, bands)
