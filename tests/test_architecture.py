"""Who may import whom: the walls of the house, checked on every file."""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("kokex", "actors", "strategies")
MOST_LINES = 450

# A room is a file or folder of kokex/, or a package beside it; `adapters` and `kronos.client` may be named by part.
# Besides what is listed a room may import itself and the standard library, asyncio excepted.
ROOMS: dict[str, str] = {
    "messages":      "msgspec",
    "ports":         "msgspec messages",
    "kernel":        "anyio msgspec messages",
    "market":        "msgspec numpy messages",
    "config":        "msgspec market messages",
    "brain":         "msgspec messages market",
    "strategies":    "msgspec messages market",
    "present":       "msgspec messages market",
    "kronos":        "msgspec torch numpy safetensors huggingface_hub kronos.client",
    "kronos.client": "msgspec",
    "paper":         "msgspec market messages ports",
    "actors":        "anyio msgspec kernel messages ports config market brain strategies present",
    "adapters":      "brain anyio msgspec asyncio aiosqlite aiohttp websockets telegram anthropic openai cryptography"
                     " feedparser matplotlib messages ports config market present paper kronos.client",
    "topology":      "brain msgspec actors kernel ports config messages",
    "simulation":    "anyio msgspec asyncio trio outcome numpy messages ports kernel market config brain strategies"
                     " present kronos.client paper actors topology adapters.sqlite adapters.host",
    "research":      "msgspec numpy arch messages ports kernel market config brain strategies present kronos.client"
                     " paper actors topology adapters.sqlite adapters.host simulation",
    "cli":           "anyio msgspec click rich messages ports kernel market config brain strategies present kronos"
                     " paper actors adapters topology simulation research",
    "__main__":      "cli",
    "__init__":      "",
}  # fmt: skip

KERNEL_KNOWS = {"Message", "Lifecycle"}  # of messages: the envelope, and what it says itself

# Pure rooms know neither the world nor the hour.
NO_AWAIT = {"market", "brain", "strategies", "present", "messages"}
NO_WORLD = NO_AWAIT | {"paper"}
WORLD = {
    "http", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select", "shutil", "signal", "socket",
    "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time", "urllib", "uuid",
}  # fmt: skip


def room_of(module: str) -> str:
    """'kokex.market.money' -> 'market', 'kokex.adapters.okx.client' -> 'adapters.okx', 'actors.risk' -> 'actors'."""
    top, *below = module.split(".")
    if top != "kokex":
        return top
    room = (
        ".".join(below[:2]) if below[:1] == ["adapters"] or below[:2] == ["kronos", "client"] else ".".join(below[:1])
    )
    return room or "__init__"


def imports(tree: ast.AST, package: str) -> Iterator[tuple[int, str, list[str]]]:
    """(line, module, names taken from it) of every import, also the lazy ones and those for types only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            names = [alias.name for alias in node.names]
            if module in {"kokex", "kokex.adapters", "kokex.kronos"}:  # what is taken may be a room
                yield from ((node.lineno, f"{module}.{name}", []) for name in names if not name.startswith("__"))
            else:
                yield node.lineno, module, names


def allows(room: str, other: str) -> bool:
    granted = ROOMS[room if room in ROOMS else room.partition(".")[0]].split()
    whole = other.partition(".")[0]
    return other == room or other in granted or whole in granted or whole == room.partition(".")[0] == "adapters"


def faults(root: Path) -> list[str]:
    """What breaks the table, as `file:line: what`."""
    return [
        f"{file.relative_to(root).as_posix()}:{fault}"
        for package in PACKAGES
        for file in sorted((root / package).rglob("*.py"))
        for fault in faults_of(file, file.relative_to(root).with_suffix(""))
    ]


def faults_of(file: Path, place: Path) -> Iterator[str]:
    package = ".".join(place.parts[:-1])
    room = room_of(".".join(place.parts).removesuffix(".__init__"))
    if room.partition(".")[0] not in ROOMS:
        yield f"1: {room} is no room of the house"
        return
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for line, module, names in imports(tree, package):
        top = module.partition(".")[0]
        ours = top in PACKAGES
        other = room_of(module) if ours else top
        if ours and other == "__init__":  # the version is everybody's
            continue
        if top in sys.stdlib_module_names and top != "asyncio":
            if top in WORLD and room in NO_WORLD:
                yield f"{line}: {room} is pure and may not import {module}"
        elif not allows(room, other):
            yield f"{line}: {room} may not import {module}"
        elif room == "kernel" and other == "messages" and not (names and KERNEL_KNOWS.issuperset(names)):
            yield f"{line}: kernel may know only {' and '.join(sorted(KERNEL_KNOWS))} of messages"
    for node in ast.walk(tree):
        if room in NO_AWAIT and isinstance(node, ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await):
            yield f"{node.lineno}: {room} is pure and may not await"


def test_every_import_is_one_the_table_allows() -> None:
    assert faults(ROOT) == []


BAD = [
    ("kokex/market/bad.py", "import kokex.kernel.actor", "market may not import kokex.kernel.actor"),
    ("kokex/market/bad.py", "from kokex import kernel", "market may not import kokex.kernel"),
    ("kokex/market/bad.py", "from ..kernel import Actor", "market may not import kokex.kernel"),
    ("kokex/market/bad.py", "import pandas", "market may not import pandas"),
    ("kokex/market/bad.py", "async def f() -> None: ...", "market is pure and may not await"),
    ("kokex/paper/bad.py", "import socket", "paper is pure and may not import socket"),
    ("kokex/kernel/bad.py", "from kokex.ports import Store", "kernel may not import kokex.ports"),
    (
        "kokex/kernel/bad.py",
        "from kokex.messages import Fill",
        "kernel may know only Lifecycle and Message of messages",
    ),
    ("kokex/kernel/bad.py", "def f() -> None:\n    import asyncio", "kernel may not import asyncio"),
    ("kokex/config/bad.py", "from kokex.adapters.host import clock", "config may not import kokex.adapters.host"),
    ("kokex/present/bad.py", "from rich.table import Table", "present may not import rich.table"),
    ("kokex/kronos/client.py", "import torch", "kronos.client may not import torch"),
    ("kokex/kronos/bad.py", "import kokex.messages", "kronos may not import kokex.messages"),
    ("kokex/simulation/bad.py", "import kokex.adapters.okx", "simulation may not import kokex.adapters.okx"),
    ("kokex/research/bad.py", "from kokex.cli import main", "research may not import kokex.cli"),
    ("kokex/adapters/sqlite/bad.py", "import trio", "adapters.sqlite may not import trio"),
    (
        "kokex/adapters/sqlite/bad.py",
        "from kokex.adapters.host import ids\nimport trio",
        "adapters.sqlite may not import trio",
    ),
    (
        "kokex/adapters/host/bad.py",
        "from kokex.kronos.sampling import draw",
        "adapters.host may not import kokex.kronos.sampling",
    ),
    ("kokex/utils.py", "", "utils is no room of the house"),
    ("actors/bad.py", "from kokex.adapters import sqlite", "actors may not import kokex.adapters.sqlite"),
    ("actors/bad.py", "import trio._core", "actors may not import trio._core"),
    ("strategies/bad.py", "import actors", "strategies may not import actors"),
]


@pytest.mark.parametrize(("file", "text", "fault"), BAD, ids=[f"{file}: {text}" for file, text, _ in BAD])
def test_the_walk_catches_a_forbidden_import(tmp_path: Path, file: str, text: str, fault: str) -> None:
    bad = tmp_path / file
    bad.parent.mkdir(parents=True)
    bad.write_text(text, encoding="utf-8")
    (found,) = faults(tmp_path)
    assert found.startswith(f"{file}:")
    assert found.endswith(f": {fault}")


def test_the_walk_lets_pass_what_the_table_allows(tmp_path: Path) -> None:
    for file, text in {
        "kokex/__main__.py": "from kokex.cli import main",
        "kokex/cli/run.py": "import click\nfrom kokex import __version__\nfrom kokex.adapters.okx import client",
        "kokex/adapters/okx/client.py": "import asyncio\nimport aiohttp\nfrom kokex.adapters.host import clock",
        "kokex/simulation/world.py": "import asyncio\nimport trio\nfrom kokex.adapters.sqlite import store",
        "actors/risk.py": "import anyio\nfrom kokex.kernel import Actor\nfrom strategies import spec",
    }.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text, encoding="utf-8")
    assert faults(tmp_path) == []


def test_only_one_file_touches_trios_private_names() -> None:
    touching = [
        file.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for file in (ROOT / package).rglob("*.py")
        if re.search(r"\btrio\._|\bfrom trio import .*\b_", code(file))
    ]
    assert len(touching) <= 1, touching
    assert all(file.startswith("kokex/simulation/") for file in touching), touching


def code(file: Path) -> str:
    """The file without its comments."""
    return ast.unparse(ast.parse(file.read_text(encoding="utf-8")))


def test_no_file_is_longer_than_a_reader_bears() -> None:
    long = {
        file.relative_to(ROOT).as_posix(): lines
        for folder in (*PACKAGES, "tests", "benchmarks")
        for file in (ROOT / folder).rglob("*.py")
        if (lines := len(file.read_text(encoding="utf-8").splitlines())) > MOST_LINES
    }
    assert long == {}
