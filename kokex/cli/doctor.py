"""`kokex doctor`: what is wrong with this installation, each finding with its remedy."""

import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryFile

import anyio
import click
import msgspec

from actors.risk import Breaker
from kokex.adapters.control.client import ControlError, NoDaemon, ask
from kokex.adapters.host.clock import TradingClock
from kokex.adapters.host.lock import FileLock, Locked
from kokex.adapters.sqlite import queries
from kokex.adapters.sqlite.reader import Reader, integrity
from kokex.cli.checkup import Finding, memory, models
from kokex.cli.market import instruments_of, read_tape
from kokex.cli.options import CONFIG, JSON, NEW_DATABASE, configured, control_socket, database
from kokex.cli.output import Mistake, emit_json, show
from kokex.config import Config
from kokex.market.instruments import from_csv
from kokex.ports import Ambiguous, StoreError
from kokex.present.tables import Table
from kokex.present.words import age, clock
from strategies.spec import build

FEW_BYTES, TOO_FEW_BYTES = 1 << 30, 100 << 20  # of free disk
AHEAD_NS = 5_000_000_000  # by which the newest row may be ahead of the clock
MADE_NS = int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000_000  # no clock is right before


@click.command()
@CONFIG
@NEW_DATABASE
@JSON
@click.pass_context
def doctor(context: click.Context, config_file: Path | None, db: Path | None, as_json: bool) -> None:
    """What is wrong with this installation, each finding with its remedy.

    Changes nothing, and may run beside the daemon. Ends with 1 when something fails; a warning is none.

    \b
    Example:
      kokex doctor --json
    """
    findings = list(_findings(config_file, db))
    failed = any(each.state == "fail" for each in findings)
    if as_json:
        emit_json({"healthy": not failed, "findings": findings})
    else:
        rows = tuple((each.state, each.what, each.found, each.remedy) for each in findings)
        show(Table("Doctor", ("", "what", "found", "remedy"), rows))
    if failed:
        context.exit(1)


def _findings(config_file: Path | None, db: Path | None) -> Iterator[Finding]:
    yield _python()
    yield _plots()
    try:
        config = configured(config_file, db)
    except Mistake as error:
        yield Finding("configuration", "fail", error.message, "correct the key; `config.toml` as shipped shows each")
        return
    yield Finding("configuration", "ok", _summary(config))
    yield from _strategies(config)
    yield _market(config)
    yield from _accounts(config)
    yield from models(config)
    yield from memory(config)
    path = database(config)
    yield from _directory(path)
    yield from _daemon(config, path)
    yield from _database(path, [account.name for account in config.resolved_accounts()])


# ---- the program ----------------------------------------------------------------------------


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if (3, 11) <= sys.version_info[:2] < (3, 14):
        return Finding("Python", "ok", version)
    return Finding("Python", "fail", version, "use Python 3.11 to 3.13")


def _plots() -> Finding:
    if find_spec("matplotlib") is not None:
        return Finding("plots", "ok", "as PNG and as HTML")
    return Finding("plots", "ok", "as HTML; for PNG too: `make plot`, or pip install 'kokex[plot]'")


# ---- what is configured ---------------------------------------------------------------------


def _summary(config: Config) -> str:
    plans = ", ".join(f"{plan.name} ({plan.mode.kind})" for plan in config.resolved_plans())
    return f"{config.market.source} market, {config.venue.kind} venue, plans {plans}"


def _strategies(config: Config) -> Iterator[Finding]:
    for plan in config.resolved_plans():
        try:
            made = [build(name, plan.parameters.get(name, {})) for name in plan.brain.strategies]
        except ValueError as error:
            yield Finding(f"strategies of {plan.name}", "fail", str(error), "correct [brain] or [strategies]")
            continue
        longest = max(strategy.warmup for strategy in made)
        names = ", ".join(plan.brain.strategies)
        yield Finding(f"strategies of {plan.name}", "ok", f"{names}; warm after {longest:,} candles")


def _market(config: Config) -> Finding:
    try:
        if config.market.source == "okx":
            return _okx_market(config)
        instruments = instruments_of(config)
        tape = read_tape(config)
    except Mistake as error:
        return Finding("market", "fail", error.message, "correct [market]; `kokex data check` looks into a file")
    names = ", ".join(each.symbol for each in instruments)
    if tape is None:
        return Finding("market", "ok", f"simulated: {names}")
    candles = sum(len(each.open_ns) for each in tape.columns.values())
    return Finding("market", "ok", f"{candles:,} candles of {names} to replay")


def _okx_market(config: Config) -> Finding:
    """Raises Mistake."""
    from kokex.cli.okx import meet

    config, ahead_ns = meet(config)
    names = ", ".join(each.symbol for each in config.listing)
    found = f"OKX lists {names}; its clock is {ahead_ns / 1e9:+.2f} s from ours"
    if abs(ahead_ns) < 1_000_000_000:
        return Finding("market", "ok", found)
    return Finding("market", "warn", found, "set the system clock (NTP); trading time is OKX's either way")


def _accounts(config: Config) -> Iterator[Finding]:
    """Those at an exchange: asked there."""
    from kokex.cli.accounts import at_okx, credentials_of, findings

    accounts = at_okx(config)
    try:
        keys = credentials_of(config) if accounts else {}
    except Mistake as error:
        yield Finding("API keys", "fail", error.message, "see docs/secrets.md")
        return
    kinds = [from_csv(symbol, "swap" if symbol.endswith("-SWAP") else "spot") for symbol in config.market.symbols]
    for account in accounts:
        try:
            checks, _ = anyio.run(findings, account, keys[account.name], kinds)
        except Ambiguous as error:
            remedy = "check the network, venue.region and venue.base_url"
            yield Finding(f"OKX, account {account.name}", "fail", str(error), remedy)
            continue
        for each in checks:
            yield Finding(f"{each.what} of {account.name}", each.state, each.found, each.remedy)


# ---- the machine ----------------------------------------------------------------------------


def _directory(path: Path) -> Iterator[Finding]:
    directory = next(each for each in path.absolute().parents if each.exists())
    try:
        with TemporaryFile(dir=directory):
            pass
    except OSError as error:
        remedy = "check owner and mode of the directory, or name another [store] path"
        yield Finding("data directory", "fail", f"{directory}: cannot be written: {error.strerror}", remedy)
        return
    there = str(directory) if directory == path.absolute().parent else f"{path.parent}: will be made in {directory}"
    yield Finding("data directory", "ok", there)
    free = shutil.disk_usage(directory).free
    found = f"{free / 1e9:,.1f} GB free"
    if free >= FEW_BYTES:
        yield Finding("disk", "ok", found)
    else:
        state = "fail" if free < TOO_FEW_BYTES else "warn"
        yield Finding("disk", state, found, "free some space, or shorten [store] keep_days; a full disk stops trading")


def _daemon(config: Config, path: Path) -> Iterator[Finding]:
    lock = path.with_name(path.name + ".lock")
    try:
        if lock.exists():
            FileLock(lock).release()
    except Locked as held:
        yield Finding("daemon", "ok", "running" if held.pid is None else f"running as process {held.pid}")
        yield _answer(control_socket(config))
    except OSError as error:
        yield Finding("daemon", "fail", f"{lock}: {error.strerror}", "check owner and mode of the lock file")
    else:
        yield Finding("daemon", "ok", "not running: `kokex run` starts it")


def _answer(socket: Path) -> Finding:
    try:
        status = ask(socket, "status", timeout_s=5)
    except NoDaemon:
        return Finding("control", "warn", f"nobody listens at {socket}", "wait for its start, or see [control] path")
    except ControlError as error:
        return Finding("control", "warn", str(error), "if it stays so, stop the daemon (SIGTERM) and start it again")
    ill = [actor["name"] for actor in status.get("actors", ()) if actor["state"] not in ("running", "parked")]
    if ill:
        return Finding(
            "control", "warn", f"not running: {', '.join(ill)}", "`kokex status` shows the last error of each"
        )
    return Finding("control", "ok", "answers; all actors run")


# ---- the database ---------------------------------------------------------------------------


def _database(path: Path, accounts: list[str]) -> Iterator[Finding]:
    if not path.exists():
        yield Finding("database", "ok", f"{path}: none yet; `kokex run` makes it")
        yield _clock(0)
        return
    try:
        damage = integrity(path)
        with Reader(path) as reader:
            sessions = reader.ask(queries.sessions())
            newest = reader.ask(queries.journal(last=1))
            breakers = {name: reader.ask(queries.saved(f"breaker[{name}]")) for name in accounts}
    except StoreError as error:
        yield Finding("database", "fail", str(error), "see docs/store.md")
        return
    if damage:
        remedy = f"restore a copy, or rescue it with `sqlite3 {path} .recover`"
        yield Finding("database", "fail", "; ".join(damage[:3]), remedy)
    else:
        size = path.stat().st_size / 1e6
        yield Finding("database", "ok", f"{path}: whole, {size:,.1f} MB, sessions: {len(sessions)}")
    yield _clock(max([each.started_ns for each in sessions] + [each.at for each in newest], default=0))
    for name, body in breakers.items():
        breaker = msgspec.msgpack.decode(body, type=Breaker) if body else Breaker()
        if breaker.tripped_ns:
            found = f"tripped at {clock(breaker.tripped_ns)}: {breaker.reason}"
            yield Finding(f"breaker of {name}", "warn", found, "look into it, then `kokex reset`")


def _clock(newest_ns: int) -> Finding:
    now = TradingClock().now()
    if now < MADE_NS:
        return Finding("clock", "fail", f"it reads {clock(now)}", "set the system clock")
    if newest_ns > now + AHEAD_NS:
        found = f"it reads {clock(now)}, {age(newest_ns - now)} before the newest row on record"
        return Finding(
            "clock", "warn", found, "set the clock; after a session at a higher speed, wait or name another database"
        )
    record = f"; the newest row on record is {age(now - newest_ns)} old" if newest_ns else ""
    return Finding("clock", "ok", f"it reads {clock(now)}{record}")
