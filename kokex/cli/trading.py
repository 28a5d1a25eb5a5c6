"""`kokex buy`, `sell`, `close`, `cancel`, `reset`: what moves money. Each asks first, and none goes past risk."""

import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import msgspec

from kokex.adapters.control.client import Refused
from kokex.adapters.host.clock import moments
from kokex.adapters.sqlite import queries
from kokex.cli.asking import command, reading
from kokex.cli.options import ACCOUNT, COMMON, SYMBOL, YES, configured, together
from kokex.cli.output import Mistake, emit_json
from kokex.config import Config
from kokex.messages import SETTLED, Fill, Order
from kokex.present.conversation import trade, where
from kokex.present.tables import terms
from kokex.present.words import price

FILL_S = 6.0  # what a market order is waited for

PLAN = click.option("--plan", metavar="NAME", help="The plan it is for; else the one that trades the instrument.")
LIMIT = click.option("--limit", metavar="PRICE", help="At this price or better; else at the market.")
WHAT = together(click.argument("instrument", type=SYMBOL), click.argument("size", required=False))
WHOSE = together(PLAN, ACCOUNT, YES)


@click.command()
@WHAT
@LIMIT
@WHOSE
@COMMON
def buy(instrument: str, size: str | None, **given: Any) -> None:
    """Open or add to a long position; a short one is closed first. Without SIZE, risk sizes it.

    SIZE is in the venue's unit: coins for spot, contracts for a swap. Limits, breaker and protective stop are the same
    as for the brain's own decisions. Exit code 1 when risk refuses. What is bought belongs to the plan that trades the
    instrument, whose brain may close it at its next cycle: `kokex pause` keeps it from that.

    \b
    Example: half a contract at the market
      kokex buy BTC-USDT-SWAP 0.5
    """
    _trade("buy", instrument, size, **given)


@click.command()
@WHAT
@LIMIT
@WHOSE
@COMMON
def sell(instrument: str, size: str | None, **given: Any) -> None:
    """Open or add to a short position; a long one is closed first. Without SIZE, risk sizes it.

    Spot cannot be short: there it is `kokex close`. See `kokex buy --help` for SIZE and limits.

    \b
    Example: one contract, at 3,100 or better
      kokex sell ETH-USDT-SWAP 1 --limit 3100
    """
    _trade("sell", instrument, size, **given)


@click.command()
@WHAT
@WHOSE
@COMMON
def close(instrument: str, size: str | None, **given: Any) -> None:
    """Close a position at the market, or SIZE of it. Always allowed, with a tripped breaker too.

    \b
    Example:
      kokex close BTC-USDT-SWAP --yes
    """
    _trade("close", instrument, size, limit=None, **given)


@click.command()
@click.argument("order")
@YES
@COMMON
def cancel(order: str, yes: bool, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """Cancel an open order. A protective stop is one too: think twice.

    \b
    Example: ORDER is an id of `kokex orders`
      kokex cancel kq7rd2a1b2c3
    """
    config = configured(config_file, db)
    with reading(config) as reader:
        record = reader.ask(queries.order(order))
    if record is None:
        raise click.ClickException(f"there is no order {order!r}; see `kokex orders`")
    confirm(f"cancel {described(record.order)}, account {record.order.account}?", yes)
    answer = command(config, "cancel", {"order": order, "account": record.order.account})
    if as_json:
        emit_json(answer)
    else:
        click.echo(f"order {order}: {answer['state']}, {price(Decimal(answer['filled']))} filled")


@click.command()
@ACCOUNT
@YES
@COMMON
def reset(account: str | None, yes: bool, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """Reset a tripped circuit breaker: new entries are allowed again.

    \b
    Example:
      kokex reset --account main
    """
    config = configured(config_file, db)
    confirm(f"reset the circuit breaker of {f'account {account}' if account else 'the first account'}?", yes)
    answer = command(config, "reset", {"account": account})
    if as_json:
        emit_json(answer)
    elif answer["was_tripped"]:
        click.echo(f"account {answer['account']}: entries are allowed again; it had {answer['reason']}")
    else:
        click.echo(f"account {answer['account']}: the breaker was not tripped")


# ---- one way for all three ----------------------------------------------------------------------


def _trade(
    verb: str, instrument: str, size: str | None, *, limit: str | None, plan: str | None, account: str | None,
    yes: bool, config_file: Path | None, db: Path | None, as_json: bool,
) -> None:  # fmt: skip
    config = configured(config_file, db)
    args = {"instrument": instrument, "size": size, "limit": limit, "plan": plan, "account": account}
    first = {"buy": ", closing what is short first", "sell": ", closing what is long first"}.get(verb, "")
    given = {key: value for key, value in args.items() if value is not None}
    confirm(f"{trade(verb, given)}{first}{where(given)}?", yes)
    try:
        answer = command(config, verb, args)
    except Refused as refused:
        if as_json:
            emit_json(refused.answer)
        raise click.ClickException(f"refused by {refused.answer['rule']}: {refused}") from None
    order = msgspec.convert(answer["order"], type=Order, strict=False)
    if as_json:
        record, fills = _outcome(config, order)
        answer |= {"state": record.state, "filled": record.filled, "reason": record.reason, "fills": fills}
        emit_json(answer)
        return
    click.echo(f"approved: {described(order)}")
    tell_outcome(config, order)


def tell_outcome(config: Config, order: Order) -> None:
    """What became of an approved order within a moment. Raises ClickException."""
    record, fills = _outcome(config, order)
    for fill in fills:
        click.echo(f"filled {price(fill.size)} at {price(fill.price)}, fee {price(fill.fee)}")
    if record.state != "filled":
        click.echo(f"order {order.client_id}: {record.state}" + (f", {record.reason}" if record.reason else ""))


def _outcome(config: Config, order: Order) -> tuple[queries.OrderRecord, list[Fill]]:
    """What became of an order within a moment: a limit order may just as well go on working."""
    patient_s = FILL_S if order.kind == "market" else 1.0
    with reading(config) as reader:
        record: queries.OrderRecord | None = None
        for _ in moments(patient_s):
            record = reader.ask(queries.order(order.client_id))
            if record is not None and record.state in SETTLED:
                break
        if record is None:
            raise click.ClickException(f"order {order.client_id} is approved, but not on record; see `kokex orders`")
        found = reader.ask(queries.chain(order.client_id))
    return record, [each for each in found if isinstance(each, Fill)]


def described(order: Order) -> str:
    """In a line, with its id."""
    return f"{order.side} {price(order.size)} {order.instrument} {terms(order)}, order {order.client_id}"


def confirm(question: str, yes: bool) -> None:
    """Asks, unless it was answered. Raises Mistake without a terminal, ClickException for a no."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Mistake(f"{question} Nobody is there to say yes; --yes says it")
    if not click.confirm(question, err=True):
        raise click.ClickException("nothing was done")
