"""From text to `Config`, and from every mistake to one line: where, which key, what is wrong, what would be right.

The file is read first, then the environment: `KOKEX__SECTION__KEY=value` beats the file, a list is comma-separated,
and `KOKEX__PLANS__NAME__KEY` reaches into the plan of that name. A value from the environment is text and is read by
the type of its field. The walk down the structs is our own and not msgspec's, so that a mistake knows its key.
"""

import difflib
import json
import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, TypeGuard, cast, get_args, get_origin

import msgspec
from msgspec import NODEFAULT, Struct

from kokex.config.checks import Key, contradictions
from kokex.config.rules import Later, Matches, Named, OneOf, Range
from kokex.config.schema import Config
from kokex.market.names import canonical

DEFAULT_FILE = Path("config.toml")
PREFIX = "KOKEX__"
SECRETS = frozenset({"key", "secret", "passphrase", "token", "api_key"})  # what the last part of a secret's name may be
LATER = frozenset({"forecast.model", "forecast.tokenizer"})
RECORDED = frozenset({"listing", "fees"})  # of the configuration on record, never of the file
INHERITED = ("mode", "brain", "forecast", "risk")  # tables a plan may override key by key

Table = dict[str, object]


class ConfigError(Exception):
    """What is wrong with the configuration, in one line."""


class _Mistake(Exception):
    def __init__(self, key: Key, what: str) -> None:
        super().__init__(what)
        self.key = key


class _Text(str):
    """A value from the environment."""

    __slots__ = ()


def load(path: Path | None, environ: Mapping[str, str]) -> Config:
    """The configuration in `path`, overridden by `environ`; None: config.toml here, and without one the defaults.

    Raises ConfigError.
    """
    text = _text(path or DEFAULT_FILE, required=path is not None)
    file = (path or DEFAULT_FILE).as_posix()
    overrides: dict[Key, str] = {}
    try:
        tables: Table = tomllib.loads(text)
        _refuse_secrets(tables, ())
        _override(tables, environ, overrides)
        _inherit(tables)
        config = cast("Config", _read(Config, tables, ()))
        for key, what in contradictions(config):
            raise _Mistake(key, what)
    except tomllib.TOMLDecodeError as error:
        what, _, place = str(error).partition(" (at line ")
        line = place.partition(",")[0] or len(text.splitlines())
        raise ConfigError(f"{file}:{line}: not TOML: {what[:1].lower()}{what[1:]}") from None
    except _Mistake as mistake:
        where = _where(mistake.key, file, text, overrides)
        raise ConfigError(f"{where}: {_dotted(mistake.key)}: {mistake}") from None
    return config


def _text(path: Path, *, required: bool) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        if required:
            raise ConfigError(f"{path}: no such file; name a TOML file like the shipped config.toml") from None
        return ""
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}; must be a readable TOML file") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not UTF-8 text; must be a TOML file") from None


# ---- before the schema: secrets, environment, inheritance -----------------------------------


def _refuse_secrets(value: object, key: Key) -> None:
    if _is_list(value):
        value = {str(index): item for index, item in enumerate(value)}
    for name, below in value.items() if _is_table(value) else ():
        at = (*key, name)
        if name in SECRETS:
            variable = PREFIX + "__".join(at).upper()
            remedy = f"use {variable} in the environment, a systemd credential, or `kokex secrets set`"
            raise _Mistake(at, f"a secret does not belong in this file; {remedy}")
        _refuse_secrets(below, at)


def _override(tables: Table, environ: Mapping[str, str], overrides: dict[Key, str]) -> None:
    """Lays the environment over the tables; `overrides` remembers which variable each key came from."""
    for variable in sorted(environ):
        *path, last = variable.removeprefix(PREFIX).lower().split("__")
        if not variable.startswith(PREFIX) or last in SECRETS:  # a secret is read by who needs it
            continue
        here: object = tables
        key: Key = ()
        for part in path:
            name, here = _enter(here, part, f"{variable} in the environment: {_dotted((*key, part))}")
            key = (*key, name)
        if not _is_table(here):
            raise ConfigError(f"{variable} in the environment: {_dotted(key)}: not a table, so it has no {last}")
        here[last] = _Text(environ[variable])
        overrides[*key, last] = variable


def _enter(here: object, part: str, what: str) -> tuple[str, object]:
    """The table called `part`, made where there is none; in a list, the one whose name it is, and its index."""
    if _is_table(here):
        return part, here.setdefault(part, {})
    tables = _tables(here)
    names = [str(table.get("name")).replace("-", "_") for table in tables]
    if part not in names:
        raise ConfigError(f"{what}: no such table; there is {', '.join(names) or 'none'}")
    return str(names.index(part)), tables[names.index(part)]


def _inherit(tables: Table) -> None:
    """Lays a plan's or account's table over the top-level one, so that it need only say what differs."""
    for plan in _tables(tables.get("plans")):
        for section in INHERITED:
            common, own = tables.get(section), plan.get(section)
            if _is_table(common) and _is_table(own):
                plan[section] = common | own
    if _is_table(paper := tables.get("paper")):
        purse = {own: paper[name] for own, name in (("cash", "cash"), ("kind", "account_kind")) if name in paper}
        for account in _tables(tables.get("accounts")):
            account.update(purse | account)
    for account in _tables(tables.get("accounts")):
        common, own = tables.get("venue"), account.get("venue", {})
        if _is_table(common) and _is_table(own):
            account["venue"] = common | own


def _is_table(value: object) -> TypeGuard[Table]:
    return isinstance(value, dict)


def _is_list(value: object) -> TypeGuard[list[object]]:
    return isinstance(value, list)


def _is_struct(shape: object) -> TypeGuard[type[Struct]]:
    return isinstance(shape, type) and issubclass(shape, Struct)


def _tables(value: object) -> list[Table]:
    return [table for table in value if _is_table(table)] if _is_list(value) else []


# ---- down the schema ------------------------------------------------------------------------


def _read(shape: object, value: object, key: Key, default: object = NODEFAULT) -> object:
    """`value` as the type `shape`; raises _Mistake."""
    arguments = get_args(shape)
    if NoneType in arguments:  # optional means: may be left out
        shape = cast("object", next(argument for argument in arguments if argument is not NoneType))
        arguments = get_args(shape)
    if _is_struct(shape):
        return _read_struct(shape, value, key)
    if get_origin(shape) is dict:
        return {name: _read(arguments[1], item, (*key, name)) for name, item in _table(value, key).items()}
    if get_origin(shape) is tuple:
        items = (
            [_Text(item.strip()) for item in value.split(",") if item.strip()] if isinstance(value, _Text) else value
        )
        if not _is_list(items):
            remedy = f"; must be [[{_header(key)}]]" if _is_struct(arguments[0]) else _example(default)
            raise _Mistake(key, f"{_show(value)} is not a list{remedy}")
        return tuple(_read(arguments[0], item, (*key, str(index))) for index, item in enumerate(items))
    return _read_leaf(shape, value, key, default)


def _read_struct(shape: type[Struct], value: object, key: Key) -> Struct:
    fields = {field.name: field for field in msgspec.structs.fields(shape) if field.name not in RECORDED}
    table = _table(value, key)
    for name in table:
        if name not in fields:
            raise _Mistake((*key, name), _unknown(_dotted((*key, name)), name, fields))
    for field in fields.values():
        if field.required and field.name not in table:
            raise _Mistake(key, f"needs {field.name}{_example('main')}")
    return shape(
        **{
            name: _read(field.type, table[name], (*key, name), field.default)
            for name, field in fields.items()
            if name in table
        }
    )


def _read_leaf(shape: object, value: object, key: Key, default: object) -> object:
    kind, *rules = get_args(shape) if get_origin(shape) is Annotated else (shape,)
    text = isinstance(value, _Text)
    try:
        result = msgspec.convert(str(value) if text else value, kind, strict=not text)
    except (msgspec.ValidationError, OverflowError):
        if get_origin(kind) is Literal:
            raise _Mistake(key, _not_a_word(value, get_args(kind), rules)) from None
        wanted = _NOUNS.get(kind, "a number") + (f" in {_unit(key)}" if _unit(key) else "")
        raise _Mistake(key, f"{_show(value)} is not {wanted}{_example(default)}") from None
    if isinstance(result, float | Decimal) and not math.isfinite(result):
        raise _Mistake(key, f"{_show(value)} is not a finite number{_example(default)}")
    for rule in rules:
        if isinstance(rule, OneOf) and result not in rule.words:
            raise _Mistake(key, _not_a_word(value, rule.words, rules))
        if isinstance(rule, Range | Matches) and not rule.holds(result):
            raise _Mistake(key, f"{_show(value)} is impossible; must be {rule.words(_unit(key))}")
        if isinstance(rule, Named):
            result = canonical(str(result))
    return result


# ---- words ----------------------------------------------------------------------------------

_NOUNS: dict[object, str] = {str: "text in quotes", int: "a whole number", bool: "true or false"}
_UNITS = {"s": "seconds", "ms": "milliseconds", "h": "hours", "pct": "percent", "bp": "basis points", "days": "days"}


def _table(value: object, key: Key) -> Table:
    if not _is_table(value):
        raise _Mistake(key, f"{_show(value)} is not a table; must be [{_header(key)}] with its keys below")
    return value


def _unknown(dotted: str, name: str, known: Iterable[str]) -> str:
    if dotted in LATER:
        return "not yet supported; must be left out"
    return f"unknown key; {_nearest(name, known)}"


def _not_a_word(value: object, known: Sequence[str], rules: Sequence[Any]) -> str:
    if any(isinstance(rule, Later) and value in rule.words for rule in rules):
        return f"{_show(value)} is not yet supported; must be {' or '.join(known)}"
    return f"{_show(value)} is unknown; {_nearest(str(value), known)}"


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, known, 1)
    return f"did you mean {close[0]}?" if close else f"must be one of {', '.join(known)}"


def _unit(key: Key) -> str:
    whole, _, suffix = key[-1].rpartition("_")
    return _UNITS.get(suffix, "") if whole else ""


def _example(value: object) -> str:
    """', for example 720', or nothing where there is no telling one."""
    if value is None or value is NODEFAULT or value == ():
        return ""
    return f"; for example {_show(value)}"


def _show(value: object) -> str:
    """A value as TOML writes it, on one line."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_show, cast('Sequence[object]', value)))}]"
    if isinstance(value, str | bool):
        return json.dumps(value, ensure_ascii=False)
    text = str(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _header(key: Key) -> str:
    """('plans', '0', 'mode') -> 'plans.mode', as it stands in brackets above its keys."""
    return ".".join(part for part in key if not part.isdecimal())


def _dotted(key: Key) -> str:
    """('plans', '0', 'mode') -> 'plans[0].mode'."""
    return "".join(f"[{part}]" if part.isdecimal() else f".{part}" for part in key).removeprefix(".")


# ---- places ---------------------------------------------------------------------------------

_HEADER = re.compile(r"\s*(\[\[?)([^\[\]]+)\]")
_ASSIGNMENT = re.compile(r"""\s*([A-Za-z0-9_"'.\- ]+?)\s*=""")


def _where(key: Key, file: str, text: str, overrides: Mapping[Key, str]) -> str:
    """The variable or the line to look at: of the key itself, else of what lies below, beside or above it."""
    lines = _lines(text)
    near = next((at for at in overrides if at[: len(key)] == key or at[:-1] == key[:-1]), key)
    if key in overrides or (key not in lines and near in overrides):
        return f"{overrides[key if key in overrides else near]} in the environment"
    line = next((lines[key[:length]] for length in range(len(key), 0, -1) if key[:length] in lines), None)
    return file if line is None else f"{file}:{line}"


def _lines(text: str) -> dict[Key, int]:
    """The line of each key, as far as a look at the lines tells; a list in brackets is not looked into."""
    lines: dict[Key, int] = {}
    counts: Counter[Key] = Counter()
    table: Key = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            name = _split(header[2])
            if header[1] == "[[":
                table = (*name, str(counts[name]))
                counts[name] += 1
            elif name[:1] in counts:  # [plans.mode]: of the last plan so far
                table = (name[0], str(counts[name[:1]] - 1), *name[1:])
            else:
                table = name
            lines.setdefault(table, number)
        elif assignment := _ASSIGNMENT.match(line):
            lines.setdefault((*table, *_split(assignment[1])), number)
    return lines


def _split(name: str) -> Key:
    return tuple(part.strip(" \"'") for part in name.split("."))
