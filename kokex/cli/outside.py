"""What the daemon opens besides market, venue and models: feeds of news, Kronos, the memory."""

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager

from kokex.adapters.host.kronos import KronosModel
from kokex.adapters.sqlite.memory import SqliteMemory
from kokex.brain.memory import Costs
from kokex.cli.output import Mistake
from kokex.config import Config, Plan
from kokex.kronos.client import Worker
from kokex.ports import Memory, News


@asynccontextmanager
async def feeds(config: Config) -> AsyncGenerator[News | None, None]:
    """None without [news] feeds."""
    if not config.news.feeds:
        yield None
        return
    from kokex.adapters.news.feeds import open_feeds

    async with open_feeds() as opened:
        yield opened


@contextmanager
def kronos(config: Config, plans: Sequence[Plan]) -> Generator[KronosModel | None, None, None]:
    """None where no plan forecasts with it. Its process starts with the first question, and ends here."""
    if not any(plan.forecast.kind == "kronos" for plan in plans):
        yield None
        return
    settings = config.kronos
    worker = Worker(
        threads=settings.threads,
        idle_s=settings.idle_s,
        memory_mb=settings.memory_mb,
        precision=settings.precision,
    )
    try:
        yield KronosModel(worker)
    finally:
        worker.end()


def own_memory(config: Config) -> SqliteMemory:
    """The database's, of decisions and what became of them; opened when it is asked."""
    kinds = {each.symbol: each.kind for each in config.resolved_instruments()}

    def costs(account: str, instrument: str) -> Costs:
        fee = config.taker_fee(account, kinds.get(instrument, ""))
        return Costs(fee_bp=float(fee) * 10_000, slippage_bp=config.paper.slippage_bp)

    return SqliteMemory(config.store.path, costs)


@asynccontextmanager
async def memory(config: Config) -> AsyncGenerator[Memory, None]:
    """The configured one. Raises Mistake."""
    own = own_memory(config)
    if config.memory.kind == "sqlite":
        yield own
        return
    from kokex.adapters.letta.memory import open_letta
    from kokex.adapters.secrets.sealed import SecretsError
    from kokex.cli.secrets import secrets_of

    try:
        token = secrets_of(config)("memory.token")
    except SecretsError as error:
        raise Mistake(str(error)) from None
    async with open_letta(config.memory.url, config.memory.agent, token, own) as opened:
        yield opened
