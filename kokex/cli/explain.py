"""`kokex explain`: why there is an order, from its fill back to the candles."""

from pathlib import Path
from typing import Any

import click
import msgspec
from msgspec.structs import asdict

from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.queries import OrderRecord
from kokex.adapters.sqlite.reader import Reader
from kokex.cli.options import CONFIG, DATABASE, JSON, configured, database
from kokex.cli.output import Mistake, emit_json, show
from kokex.market import timeframes
from kokex.messages import Approved, Briefing, Candle, Decision, Message
from kokex.ports import StoreError
from kokex.present.tables import Table, terms
from kokex.present.why import Step, steps
from kokex.present.words import clock, price

LATEST = 5  # ids shown when the one asked for is not there


@click.command()
@click.argument("order")
@DATABASE
@CONFIG
@JSON
def explain(order: str, db: Path | None, config_file: Path | None, as_json: bool) -> None:
    """Why there is an order: from its fill back to the candles.

    ORDER is a client order id or the beginning of one, as `kokex orders` and `kokex trades` print it, or the number of
    a decision, which need not have led to an order.

    \b
    Examples
      kokex explain kx7a2c3e13wudgy
      kokex explain 1099511643058 --db bt.db
    """
    path = database(configured(config_file, db))
    try:
        with Reader(path) as reader:
            headline, record, told, chain = story(reader, order, path)
    except StoreError as error:
        raise click.ClickException(str(error)) from None
    if as_json:
        emit_json({"order": record, "steps": [_step(each) for each in told], "messages": chain})
        return
    click.echo(headline)
    rows = tuple((each.step, clock(each.at), each.what) for each in told)
    show(Table("From its end to its beginning", ("", "time", "what"), rows))


def story(reader: Reader, asked: str, path: Path) -> tuple[str, OrderRecord | None, list[Step], list[Message]]:
    """What it is, its record (None: no order came of it), steps, messages. Raises StoreError, Mistake."""
    client_id, chain = _chain(reader, asked, path)
    record = reader.ask(queries.order(client_id)) if client_id else None
    config = _config(reader, chain)
    told = steps(chain, _limits(config, chain), _looked_at(reader, config, chain), reader.ask(queries.listed()))
    return _headline(record) if record else f"Decision {asked}: no order came of it.", record, told, chain


def _chain(reader: Reader, asked: str, path: Path) -> tuple[str, list[Message]]:
    """(client id or "", the messages). Raises Mistake when there is no such thing, or more than one."""
    found = [asked] if reader.ask(queries.order(asked)) else reader.ask(queries.order_ids(asked, LATEST + 1))
    if len(found) == 1:
        return found[0], reader.ask(queries.chain(found[0]))
    if found:
        some = ", ".join(found[:LATEST]) + (", ..." if len(found) > LATEST else "")
        raise Mistake(f"{asked!r} begins more than one order id: {some}")
    if asked.isdecimal() and (thought := reader.ask(queries.thought(int(asked)))):
        order = next((each.order for each in thought if isinstance(each, Approved) and each.order), None)
        chain = reader.ask(queries.chain(order.client_id)) if order else []
        return (order.client_id, chain) if order and chain else ("", thought)
    latest = ", ".join(reader.ask(queries.order_ids(last=LATEST)))
    there = f"the latest orders are {latest}" if latest else "it holds no order yet"
    raise Mistake(f"{path}: no order and no decision {asked!r}; {there}")


def _config(reader: Reader, chain: list[Message]) -> dict[str, Any]:
    """The configuration of the session in which it was decided."""
    session = chain[0].id >> 40
    return next(msgspec.json.decode(each.config) for each in reader.ask(queries.sessions()) if each.id == session)


def _limits(config: dict[str, Any], chain: list[Message]) -> dict[str, float]:
    """[risk] of the plan."""
    plan = next((each.plan for each in chain if isinstance(each, Decision)), "")
    plans = (each for each in config.get("plans", ()) if each["name"] == plan)
    return next((each["risk"] for each in plans if each.get("risk")), config.get("risk", {}))


def _looked_at(reader: Reader, config: dict[str, Any], chain: list[Message]) -> list[Candle]:
    """The last candles before a decision that no edge led to, if they are still on record."""
    span_ns = timeframes.parse(config["market"]["timeframe"])
    decision = next((each for each in chain if isinstance(each, Decision)), None)
    seen = [
        reading
        for each in chain
        if isinstance(each, Briefing) and decision is not None
        for reading in each.readings
        if reading.instrument == decision.instrument
    ]
    return [
        candle
        for each in seen
        for candle in reader.ask(
            queries.candles_between(each.instrument, span_ns, each.close_ns - span_ns, each.close_ns)
        )
    ]


def _headline(record: OrderRecord) -> str:
    order = record.order
    why = f" ({record.reason})" if record.reason else ""
    filled = f", {price(record.filled)} filled" if record.state != "filled" and record.filled else ""
    what = f"{order.side} {price(order.size)} {order.instrument} {terms(order)}"
    return f"Order {order.client_id} of plan {order.plan}: {what}: {record.state}{why}{filled}."


def _step(step: Step) -> dict[str, Any]:
    return asdict(step) | {"time": clock(step.at)}
