"""What several commands share: which configuration, which database, and how a span of time is written."""

import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from msgspec.structs import replace

from kokex.adapters.control.wire import socket_path
from kokex.adapters.secrets.environment import take
from kokex.cli.output import Mistake
from kokex.config import Config, ConfigError, load
from kokex.market.names import canonical

F = TypeVar("F", bound=Callable[..., Any])


class Record(click.ParamType[Path]):
    """A database that is there: to look into, or to find the daemon by."""

    name = "record"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        if not Path(value).is_file():
            raise Mistake(f"--db {value}: no such database; `kokex run` makes one")
        return Path(value)


RECORD = Record()

CONFIG = click.option(
    "--config", "config_file", type=click.Path(path_type=Path), metavar="FILE",
    help="The configuration; else config.toml here, else the defaults.",
)  # fmt: skip
DATABASE = click.option("--db", type=RECORD, metavar="FILE", help="The database; else that of the configuration.")
NEW_DATABASE = click.option(
    "--db",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The database, made if need be; else the configuration's.",
)
JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
ACCOUNT = click.option("--account", metavar="NAME", help="One account; else all (to trade: the first).")
YES = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def together(*options: Callable[[F], F]) -> Callable[[F], F]:
    """Several options as one."""

    def add(command: F) -> F:
        for option in reversed(options):
            command = option(command)
        return command

    return add


COMMON = together(CONFIG, DATABASE, JSON)


def configured(config_file: Path | None, db: Path | None) -> Config:
    """The configuration, with the database that was asked for. Raises Mistake."""
    take(os.environ)
    try:
        config = load(config_file, os.environ)
    except ConfigError as error:
        raise Mistake(str(error)) from None
    return config if db is None else replace(config, store=replace(config.store, path=str(db)))


def database(config: Config) -> Path:
    return Path(config.store.path)


def control_socket(config: Config) -> Path:
    return socket_path(database(config), config.control.path)


def invocation() -> str:
    """What to type to call this program: `kokex`, or `.venv/bin/kokex` where that is not on the path."""
    called = Path(sys.argv[0])
    if called.name != "kokex":
        return "python -m kokex"
    found = shutil.which("kokex")
    return (
        "kokex"
        if found and Path(found).exists() and Path(found).samefile(called)
        else min(os.path.relpath(called), str(called), key=len)
    )


class Symbol(click.ParamType[str]):
    """An instrument: `BTC-USDT-SWAP`, or in ccxt's unified form, `BTC/USDT:USDT`."""

    name = "instrument"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return canonical(str(value))


SYMBOL = Symbol()


class Span(click.ParamType[float]):
    """`90s`, `5m`, `1h30m`, `2d`, or a plain number of seconds -> seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, int | float):
            return float(value)
        text = str(value).strip()
        parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhd])", text)
        if "".join(number + unit for number, unit in parts) == text and parts:
            seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
        elif re.fullmatch(r"\d+(\.\d+)?", text):
            seconds = float(text)
        else:
            self.fail(f"{text!r} is not a span of time; 90s, 5m, 1h30m and 2d are", param, ctx)
        if seconds <= 0:
            self.fail(f"{text!r} is not above zero", param, ctx)
        return seconds


_UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}
