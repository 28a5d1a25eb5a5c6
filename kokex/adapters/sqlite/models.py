"""Models that were trained here, and how they did on candles they had not seen."""

import msgspec
from msgspec import Struct

from kokex.adapters.sqlite.queries import Query
from kokex.messages import ModelVersion, Trained

TABLE = """CREATE TABLE models (
        id INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        name TEXT NOT NULL,
        folder TEXT NOT NULL,
        champion INTEGER NOT NULL,
        against TEXT NOT NULL,
        verdict TEXT NOT NULL,
        metrics TEXT NOT NULL
    )"""
INSERT = "INSERT INTO models VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


class Recorded(Struct, frozen=True, kw_only=True):
    """A version, and when it was done."""

    trained_ns: int
    version: ModelVersion


def params(m: Trained) -> tuple[object, ...]:
    v = m.version
    return m.id, m.at, v.name, v.folder, v.champion, v.against, v.verdict, msgspec.json.encode(v.metrics).decode()


def versions() -> Query[list[Recorded]]:
    """All of them, newest first."""
    return Query(
        "SELECT at, name, folder, champion, against, verdict, metrics FROM models ORDER BY id DESC",
        (),
        lambda rows: [
            Recorded(
                trained_ns=at,
                version=ModelVersion(
                    name=name, folder=folder, champion=bool(champion), against=against, verdict=verdict,
                    metrics=msgspec.json.decode(metrics, type=dict[str, float]),
                ),
            )
            for at, name, folder, champion, against, verdict, metrics in rows
        ],
    )  # fmt: skip
