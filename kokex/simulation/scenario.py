"""What a seed is about: the plans, accounts and limits, drawn so that all kinds of trading happen somewhere."""

from decimal import Decimal
from random import Random

from msgspec import Struct
from msgspec.structs import replace

from kokex.config import Account, Brain, Config, Forecast, Llm, Market, Mode, Paper, Plan, Risk
from kokex.market.instruments import parse_symbol
from kokex.messages import Instrument

MINUTE_NS = 60_000_000_000
SYMBOLS = ("BTC-USDT-SWAP", "ETH-USDT-SWAP", "SOL-USDT")
MODES = (
    Mode(kind="adaptive", long_s=3600.0, short_s=1800.0),
    Mode(kind="realtime", realtime_s=1800.0),
    Mode(kind="daily", sessions=12, spacing_h=2.0),
)


class Scenario(Struct, frozen=True):
    config: Config
    plans: tuple[Plan, ...]
    accounts: tuple[Account, ...]
    instruments: tuple[Instrument, ...]
    watch: bool  # thresholds on indicators wake the brain too


def draw(seed: int) -> Scenario:
    chance = Random(f"{seed}/scenario")
    risk = Risk(
        max_daily_loss_pct=chance.choice((0.5, 1.0, 3.0)),
        max_position_pct=chance.choice((40.0, 25.0)),
        risk_per_trade_pct=chance.choice((0.1, 0.5)),
        stale_s=chance.choice((5.0, 60.0)),  # the feed takes longer to say that the market is silent
    )
    config = Config(
        market=Market(instruments=SYMBOLS, timeframe="1m"),
        paper=Paper(latency_ms=0),
        brain=Brain(strategies=("sma_cross",)),
        forecast=Forecast(kind="none"),
        risk=risk,
        mode=chance.choice(MODES) if chance.random() < 0.5 else MODES[0],
        strategies={"sma_cross": {"fast": chance.choice((20, 40, 60)), "slow": chance.choice((150, 240))}},
    )
    main = config.resolved_accounts()[0]
    accounts = (main,)
    first = config.resolved_plans()[0]
    plans = (first,)
    match chance.randrange(4):
        case 0:  # two accounts, one without credit
            accounts = (main, replace(main, name="shadow", kind="cash"))
            plans = (first, _second(first, "shadow", SYMBOLS[2:]))
        case 1:  # two plans that want the same instruments in one account
            plans = (first, _second(first, "main", SYMBOLS[1:]))
        case _:
            pass
    instruments = tuple(parse_symbol(symbol) for symbol in SYMBOLS)
    watch = chance.random() < 0.25
    if chance.random() < 0.3:  # the first plan asks a model, which has little patience
        llm = Llm(
            provider="openai", model="simulated", rpm=chance.choice((0, 1, 2)), rpd=chance.choice((0, 6, 20)),
            per_24h=chance.choice((0, 8)), usd_per_day=Decimal(0), usd_per_month=Decimal(0),
        )  # fmt: skip
        config = replace(config, llm=llm)
        plans = (replace(plans[0], brain=replace(plans[0].brain, kind="llm")), *plans[1:])
        watch = True  # without an average true range there is no entry
    return Scenario(config, plans, accounts, instruments, watch)


def _second(first: Plan, account: str, instruments: tuple[str, ...]) -> Plan:
    return replace(
        first,
        name="second",
        account=account,
        instruments=instruments,
        timeframe_ns=2 * MINUTE_NS,
        brain=Brain(strategies=("trend",)),
    )
