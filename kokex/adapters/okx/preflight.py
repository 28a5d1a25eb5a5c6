"""Whether an account at OKX is fit to trade, before anything is sent: each finding with its remedy."""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from decimal import Decimal
from difflib import get_close_matches
from typing import Literal, cast

from msgspec import Struct

from kokex.adapters.okx.private import PrivateRest
from kokex.adapters.okx.public import InstType, PublicRest
from kokex.adapters.okx.units import AccountMode, Level, instrument_of
from kokex.adapters.okx.wire import number
from kokex.adapters.okx.wire.account import AccountConfig
from kokex.adapters.okx.wire.market import Instrument as Listed
from kokex.messages import Instrument
from kokex.ports import Ambiguous, Rejected

LEVELS = {"1": "spot", "2": "futures", "3": "multi-currency margin", "4": "portfolio margin"}
DRIFT_NS = 1_000_000_000  # of our clock against OKX's, from which on a person should know
KEY_REMEDIES = {  # what OKX says of a key -> what to do
    "50101": "the key is of another environment: a demo key for environment = \"demo\", a live one for \"live\"",
    "50102": "set the system clock (NTP)",
    "50105": "correct venue.passphrase: it is the API key's, not the account's password",
    "50110": "this machine's address is not among those the key is bound to; add it at OKX",
    "50111": "correct venue.key",
    "50113": "correct venue.secret",
    "50119": "no such key here: check venue.key, and that venue.region is where the account is registered",
    "60032": "no such key here: check venue.key, and that venue.region is where the account is registered",
}  # fmt: skip


class Check(Struct, frozen=True):
    what: str
    state: Literal["ok", "warn", "fail"]
    found: str
    remedy: str = ""


class Standing(Struct, frozen=True):
    """An account that is fit."""

    mode: AccountMode
    cash: Decimal  # USDT
    fees: dict[str, Decimal]  # of a taker, by kind of instrument


async def listed(public: PublicRest, symbols: Sequence[str]) -> tuple[Instrument, ...]:
    """The instruments, as OKX lists them now. Raises Rejected (`unlisted`, with the reason for each) or Ambiguous."""
    rows: dict[str, Listed] = {}
    kinds: list[InstType] = ["SWAP" if symbol.endswith("-SWAP") else "SPOT" for symbol in symbols]
    for kind in sorted(set(kinds)):
        rows.update({row.inst_id: row for row in await public.instruments(kind)})
    found: dict[str, Instrument] = {}
    missing: list[str] = []
    for symbol in symbols:
        try:
            instrument = instrument_of(rows[symbol]) if symbol in rows else None
        except ValueError as error:
            raise Ambiguous(str(error)) from error
        if instrument:
            found[symbol] = instrument
        else:
            missing.append(_why_not(symbol, rows))
    if missing:
        raise Rejected("unlisted", "; ".join(missing))
    return tuple(found[symbol] for symbol in symbols)


def _why_not(symbol: str, rows: Mapping[str, Listed]) -> str:
    row = rows.get(symbol)
    if row is None:
        close = get_close_matches(symbol, rows, 1)
        return f"OKX lists no {symbol}" + (f"; did you mean {close[0]}?" if close else "")
    if row.state != "live":
        return f"{symbol} cannot be traded at OKX now (its state is {row.state}); leave it out until it can"
    return f"{symbol} is neither a spot pair nor a swap margined in USDT, and those are what KOKEX trades"


async def examine(rest: PrivateRest, instruments: Sequence[Instrument]) -> AsyncIterator[Check | Standing]:
    """What there is to say of the account; last its Standing, if nothing failed. Raises Ambiguous."""
    try:
        offset_ns = await rest.rest.sync_clock()
        config = await rest.config()
    except Rejected as error:
        yield Check("API key", "fail", str(error), KEY_REMEDIES.get(error.code, "see the code in OKX's documentation"))
        return
    yield _clock(offset_ns)
    fit = True
    for check in _account(config, instruments):
        fit = fit and check.state != "fail"
        yield check
    if not fit:
        return
    balance = await rest.balance()
    cash = next((number(row.cash_bal, Decimal(0)) for row in balance.details if row.ccy == "USDT"), Decimal(0))
    if cash > 0:
        yield Check("funds", "ok", f"{cash:,.2f} USDT")
    else:
        yield Check("funds", "warn", "no USDT in the trading account", "transfer some from the funding account at OKX")
    level = cast("Level", config.acct_lv)
    fees = {kind: paid for kind in sorted({each.kind for each in instruments}) if (paid := await _fee(rest, kind))}
    yield Standing(AccountMode(level, hedged=config.pos_mode == "long_short_mode"), cash, fees)


async def _fee(rest: PrivateRest, kind: str) -> Decimal | None:
    """What a taker pays, a fraction of the turnover; None: OKX does not say. Raises Ambiguous."""
    try:
        said = await rest.trade_fee("SWAP" if kind == "swap" else "SPOT")
    except Rejected:
        return None
    charged = number(said.taker_u if kind == "swap" else said.taker)
    return None if charged is None else -charged


def _clock(offset_ns: int) -> Check:
    found = f"{abs(offset_ns) / 1e9:.2f} s {'behind' if offset_ns > 0 else 'ahead of'} OKX's"
    if abs(offset_ns) <= DRIFT_NS:
        return Check("clock offset", "ok", found)
    return Check("clock offset", "warn", f"{found}; requests are signed by OKX's", "set the system clock (NTP)")


def _account(config: AccountConfig, instruments: Sequence[Instrument]) -> Iterator[Check]:
    permissions = [each.strip() for each in (config.perm or "").split(",") if each.strip()]
    if "trade" not in permissions:
        found = f"the key may {', '.join(permissions) or 'nothing'}"
        yield Check("permissions", "fail", found, "make a key at OKX that may read and trade")
    elif "withdraw" in permissions:
        found = "the key may withdraw, which KOKEX never does"
        yield Check("permissions", "warn", found, "make a key at OKX that may only read and trade")
    else:
        yield Check("permissions", "ok", f"the key may {', '.join(permissions)}")
    level = config.acct_lv or ""
    swaps = [each.symbol for each in instruments if each.kind == "swap"]
    if level not in LEVELS:
        yield Check("account mode", "fail", f"unknown: acctLv {level!r}", "set it to futures mode at OKX")
    elif level == "1" and swaps:
        found = f"spot mode, which has no swaps ({', '.join(swaps)})"
        yield Check("account mode", "fail", found, "set it to futures mode at OKX, or trade spot only")
    elif (config.auto_loan and level in ("3", "4")) or (config.enable_spot_borrow and level == "1"):
        found = f"{LEVELS[level]} mode with borrowing: an order may spend money that is not there"
        yield Check("account mode", "fail", found, "switch auto-borrow off at OKX")
    else:
        yield Check("account mode", "ok", f"{LEVELS[level]} mode")
    if config.pos_mode not in ("net_mode", "long_short_mode"):
        yield Check("position mode", "fail", f"unknown: {config.pos_mode!r}", "set it to net mode at OKX")
    elif config.pos_mode == "long_short_mode" and swaps:
        found = "long/short mode, in which one order cannot turn a position round"
        yield Check("position mode", "fail", found, "set it to net (one-way) mode at OKX, with no position open")
    else:
        yield Check("position mode", "ok", "net mode" if config.pos_mode == "net_mode" else "long/short mode")


async def set_leverage(rest: PrivateRest, instruments: Sequence[Instrument], leverage: int) -> None:
    """Of every swap, where it is not so already. Raises Rejected or Ambiguous."""
    for each in instruments:
        if each.kind == "swap":
            now = await rest.leverage_info(each.symbol, "cross")
            if not now or any(number(row.lever, Decimal(0)) != leverage for row in now):
                await rest.set_leverage(str(leverage), "cross", each.symbol)
