"""`kokex data fetch`: an exchange's candles into the database."""

from collections.abc import Sequence
from pathlib import Path

import anyio
import click

from kokex import __version__
from kokex.adapters.host.clock import TradingClock
from kokex.adapters.host.ids import SecretIds
from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.direct import DirectStore, open_direct
from kokex.cli.options import CONFIG, NEW_DATABASE, SYMBOL, configured, database
from kokex.cli.output import Mistake, progress
from kokex.cli.values import Moment
from kokex.config import Config
from kokex.market import timeframes
from kokex.market.candles import Gap, gaps
from kokex.ports import Ambiguous, CandleRow, Rejected, StoreError
from kokex.present.words import clock

BATCH = 20_000  # rows between two writes, but for the end of a page
DAY_NS = 86_400_000_000_000


@click.command()
@click.argument("instruments", type=SYMBOL, nargs=-1, required=True, metavar="INSTRUMENT...")
@click.option(
    "--timeframe", type=click.Choice([name for name in timeframes.SPANS if name != "5s"]), default="1m",
    show_default=True, help="Of the candles; those of six hours and more open at UTC multiples.",
)  # fmt: skip
@click.option(
    "--from", "begin", type=Moment(), metavar="TIME", help="Only candles opening at or after it. [30 days ago]"
)
@click.option("--to", "end", type=Moment(), metavar="TIME", help="Only candles opening before it. [now]")
@NEW_DATABASE
@CONFIG
def fetch(
    instruments: tuple[str, ...], timeframe: str, begin: int | None, end: int | None, db: Path | None,
    config_file: Path | None,
) -> None:  # fmt: skip
    """Candles of OKX into the database, within its rate limits.

    What is on record is not fetched again: a run that was ended, or failed, goes on where it was. No key is needed;
    [venue] region, base_url and proxy say where OKX is.

    \b
    Example
      kokex data fetch BTC-USDT-SWAP ETH/USDT:USDT --timeframe 5m --from 2026-01-01
    """
    config = configured(config_file, db)
    now_ns = TradingClock().now()
    first_ns, until_ns = begin if begin is not None else now_ns - 30 * DAY_NS, min(end or now_ns, now_ns)
    if first_ns >= until_ns:
        raise Mistake(f"--from {clock(first_ns)} is not before --to {clock(until_ns)}")
    path = database(config)
    try:
        store = open_direct(
            path, now_ns=now_ns, mode="import", version=__version__, config_json="{}",
            tag_factory=SecretIds().tag, synchronous="FULL", batch=BATCH,
        )  # fmt: skip
        try:
            anyio.run(_fetch, config, instruments, timeframes.parse(timeframe), first_ns, until_ns, store)
        finally:
            store.close()
    except (StoreError, Rejected, Ambiguous) as error:
        if isinstance(error, Rejected) and error.code == "unlisted":
            raise Mistake(error.reason) from None
        raise click.ClickException(f"{error}; what came before is on record, the same command goes on there") from None


async def _fetch(
    config: Config, instruments: Sequence[str], span_ns: int, first_ns: int, until_ns: int, store: DirectStore
) -> None:
    from kokex.adapters.okx.history import History
    from kokex.adapters.okx.limits import Limits
    from kokex.adapters.okx.preflight import listed
    from kokex.adapters.okx.public import PublicRest
    from kokex.cli.okx import public_rest

    async with public_rest(config, TradingClock().now, Limits()) as rest:
        await rest.sync_clock()
        public = PublicRest(rest)
        await listed(public, instruments)
        history = History(public, rest.clock.now)
        for symbol in instruments:
            missing = _missing(store, symbol, span_ns, first_ns, min(until_ns, rest.clock.now() - span_ns + 1))
            wanted, done, got = sum(gap.missing for gap in missing), 0, 0
            with progress(f"fetching {symbol}") as tell:
                for gap in missing:
                    async for page in history.pages(
                        symbol, span_ns, gap.first_ns, gap.first_ns + gap.missing * span_ns
                    ):
                        for candle in page:
                            store.append(CandleRow(span_ns=span_ns, candle=candle))
                        store.flush()
                        got += len(page)
                        done = min(wanted, done + 300)
                        tell(done / wanted)
            there = f", {wanted - got:,} that OKX does not have" if got < wanted else ""
            click.echo(f"{symbol}: {got:,} candles of {timeframes.name_of(span_ns)} fetched{there}")


def _missing(store: DirectStore, symbol: str, span_ns: int, first_ns: int, until_ns: int) -> tuple[Gap, ...]:
    """What the database lacks of the candles that open in [first_ns, until_ns)."""
    begin_ns = first_ns + -first_ns % span_ns
    last_ns = until_ns - 1 - (until_ns - 1) % span_ns
    there = store.ask(queries.openings(symbol, span_ns, begin_ns, last_ns))
    return gaps((begin_ns - span_ns, *there, last_ns + span_ns), span_ns)
