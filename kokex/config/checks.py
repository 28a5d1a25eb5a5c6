"""What no single key can get wrong: values that contradict each other."""

from collections.abc import Iterator, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from kokex.config.schema import Config, Mode, Plan

Key = tuple[str, ...]


def contradictions(config: Config) -> Iterator[tuple[Key, str]]:
    """(the key to change, what is wrong with it), in the order of the file."""
    market = config.market
    yield from _mode(("mode",), config.mode)
    if market.source == "replay" and not market.candles:
        yield ("market", "candles"), "a replay needs at least one CSV file"
    if not market.symbols:
        yield ("market", "instruments"), "needs at least one instrument"
    key = ("market", "candles" if market.source == "replay" else "instruments")
    yield from ((key, f"{name} is given twice") for name in _repeated(market.symbols))
    yield from _venues(config)
    yield from _edges(config)
    yield from _llm(config)
    yield from _memory(config)

    try:
        ZoneInfo(config.telegram.time_zone)
    except (OSError, ValueError):
        wrong = f'"{config.telegram.time_zone}" is no time zone; for example "Europe/Berlin"'
        yield ("telegram", "time_zone"), wrong

    accounts = [account.name for account in config.resolved_accounts()]
    yield from _names("accounts", accounts)
    plans = config.resolved_plans()
    yield from _names("plans", [plan.name for plan in plans])
    for index, plan in enumerate(plans):
        at = ("plans", str(index)) if config.plans else ()
        if plan.account not in accounts:
            yield (
                (*at, "account") if at else ("accounts",),
                f'no account "{plan.account}"; there is {", ".join(accounts)}',
            )
        yield from _plan(at, plan, config)


def _venues(config: Config) -> Iterator[tuple[Key, str]]:
    for index, account in enumerate(config.resolved_accounts()):
        venue, at = account.venue, ("accounts", str(index), "venue") if config.accounts else ("venue",)
        if "@" in venue.proxy:
            yield (*at, "proxy"), "a password does not belong in this file; leave it out and set HTTPS_PROXY instead"
        if venue.kind == "paper":
            if venue.environment != "paper":
                yield (*at, "environment"), f'"{venue.environment}" needs kind = "okx"'
            continue
        if venue.environment == "paper":
            yield (*at, "environment"), 'an account at OKX is "demo" or "live"; paper money needs kind = "paper"'
        if venue.environment == "live" and not venue.allow_live:
            yield (*at, "environment"), '"live" is real money: set allow_live = true too, if that is what you want'
        if config.market.source != "okx":
            yield ("market", "source"), f'"{config.market.source}": an account at OKX needs the market of OKX, "okx"'
    if config.market.source == "okx" and config.market.speed != 1:
        yield ("market", "speed"), f"{config.market.speed:g}: an exchange's clock runs at 1"


def _mode(at: Key, mode: Mode) -> Iterator[tuple[Key, str]]:
    if mode.short_s > mode.long_s:
        yield (*at, "short_s"), f"{mode.short_s:g} is longer than long_s; must be at most {mode.long_s:g}"
    if mode.sessions * mode.spacing_h > 24:
        reach = f"{mode.sessions} sessions every {mode.spacing_h:g} hours do not fit in a day"
        yield (*at, "spacing_h"), f"{reach}; must be at most {24 / mode.sessions:g}"


def _llm(config: Config) -> Iterator[tuple[Key, str]]:
    llm = config.llm
    if llm.provider and not llm.model:
        yield ("llm", "model"), "needs the model's name, as the provider writes it"
    if llm.fallbacks and not llm.provider:
        yield ("llm", "provider"), 'needs a first provider; must be "openai" or "anthropic"'
    labels = [each.label for each in llm.chain]
    for name in _repeated(labels):
        yield ("llm", "fallbacks"), f"{name} is given twice; give one of them a name of its own"
    for index, each in enumerate(llm.chain):
        at = ("llm",) if index == 0 else ("llm", "fallbacks", str(index - 1))
        if each.reset_zone and not _is_zone(each.reset_zone):
            yield (*at, "reset_zone"), f"no time zone {each.reset_zone!r}; for example America/Los_Angeles"
    shares = llm.shares
    if (total := shares.scheduled + shares.event + shares.chat + shares.news + shares.research) > 1 + 1e-9:
        yield ("llm", "shares"), f"add up to {total:g}; must be at most 1"


def _memory(config: Config) -> Iterator[tuple[Key, str]]:
    if config.memory.kind == "letta" and not config.memory.agent:
        yield ("memory", "agent"), 'needs the id of the agent whose memory it is, like "agent-..."'


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _edges(config: Config) -> Iterator[tuple[Key, str]]:
    edges = config.edges
    for lower, higher in (
        ("rsi_low", "rsi_low_release"),
        ("rsi_low_release", "rsi_high_release"),
        ("rsi_high_release", "rsi_high"),
        ("volume_z_release", "volume_z"),
        ("volatility_ratio_release", "volatility_ratio"),
    ):
        low, high = getattr(edges, lower), getattr(edges, higher)
        if low >= high:
            yield ("edges", lower), f"{low:g} must be below {higher} ({high:g})"


def _plan(at: Key, plan: Plan, config: Config) -> Iterator[tuple[Key, str]]:
    yield from _mode((*at, "mode"), plan.mode)
    symbols = config.market.symbols
    if not plan.instruments:
        yield (*at, "instruments"), "needs at least one instrument"
    yield from (((*at, "instruments"), f"{name} is given twice") for name in _repeated(plan.instruments))
    for name in plan.instruments:
        if name not in symbols:
            yield (*at, "instruments"), f"{name} is not among the market's; there is {', '.join(symbols)}"
    if plan.timeframe_ns % config.market.span_ns:
        yield (*at, "timeframe"), f'must be a multiple of the market\'s, "{config.market.timeframe}"'
    if plan.brain.kind == "llm" and not config.llm.provider:
        yield (*at, "brain", "kind"), '"llm" needs a provider and a model in [llm]'
    if not plan.brain.strategies:
        yield (*at, "brain", "strategies"), "needs at least one strategy"
    yield from (((*at, "brain", "strategies"), f"{name} is given twice") for name in _repeated(plan.brain.strategies))


def _names(section: str, names: Sequence[str]) -> Iterator[tuple[Key, str]]:
    for index, name in enumerate(names):
        if name in names[:index]:
            yield (section, str(index), "name"), f'"{name}" is given twice'


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
