"""Draws an equity curve into a file, PNG or HTML; a fan chart of a forecast and a chart of candles, PNG.

The PNG needs matplotlib, some 60 MiB of it, so a short-lived child process draws it:

    python -m kokex.adapters.drawing.draw PATH < drawing.json

where the JSON on stdin is a `Drawing`, a `FanChart` or a `Chart`. When it cannot, it exits with 1 and one line on
stderr.
"""

import subprocess
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from kokex.adapters.drawing.chart import Chart
from kokex.adapters.drawing.fan import FanChart
from kokex.adapters.drawing.picture import Points, picture
from kokex.adapters.drawing.svg import page

_PATIENCE_S = 120


class DrawingError(Exception):
    """It cannot be drawn; the text says why and what to do."""


class Drawing(Struct, frozen=True, tag=True):
    """What the child process reads."""

    points: Points
    title: str = "Equity"
    currency: str = ""


def draw(points: Points, path: str | Path, title: str = "Equity", currency: str = "") -> None:
    """Draws `points` (UTC nanoseconds, equity) and their drawdown as the suffix of `path` says: .png or .html.

    Raises DrawingError: another suffix, fewer than two points, no matplotlib, a file that cannot be written.
    """
    path, drawing = Path(path), Drawing(points, title, currency)
    match path.suffix.lower():
        case ".html":
            _write_html(drawing, path)
        case ".png":
            _in_child(drawing, path)
        case _:
            raise DrawingError(f"{path}: name a file that ends in .png or .html")


def draw_fan(fan: FanChart, path: str | Path) -> None:
    """Draws a forecast. Raises DrawingError: a suffix other than .png, nothing to draw, no matplotlib."""
    path = Path(path)
    if path.suffix.lower() != ".png":
        raise DrawingError(f"{path}: name a file that ends in .png")
    _in_child(fan, path)


def _write_html(drawing: Drawing, path: Path) -> None:
    try:
        path.write_text(page(picture(drawing.points, drawing.title, drawing.currency)), encoding="utf-8")
    except (OSError, ValueError) as error:
        raise DrawingError(f"{path}: {error}") from None


def _in_child(drawing: Drawing | FanChart, path: Path) -> None:
    try:
        child = subprocess.run(  # noqa: S603  our own module, by the interpreter that runs this one
            command(path), input=msgspec.json.encode(drawing), capture_output=True, timeout=_PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise DrawingError(f"{path}: not drawn within {_PATIENCE_S} s") from None
    judge(child.returncode, child.stderr, path)


def command(path: str | Path) -> list[str]:
    """How the child process is called."""
    return [sys.executable, "-m", "kokex.adapters.drawing.draw", str(path)]


def judge(code: int, errors: bytes, path: str | Path) -> None:
    """Raises DrawingError with what the child said."""
    if code:
        said = errors.decode(errors="replace").strip().splitlines()
        raise DrawingError(said[-1] if said else f"{path}: the drawing process ended with {code}")


def _write_png(drawing: Drawing | FanChart | Chart, path: str) -> None:
    try:
        from kokex.adapters.drawing import candles, png
    except ImportError as error:
        raise DrawingError(
            f"{path}: a PNG needs matplotlib ({error}): `make plot`, or pip install 'kokex[plot]'"
            + ("" if isinstance(drawing, FanChart) else ", or draw a .html, which needs nothing")
        ) from None
    try:
        if isinstance(drawing, Chart):
            candles.write(drawing, path)
        elif isinstance(drawing, FanChart):
            png.write_fan(drawing, path)
        else:
            png.write(picture(drawing.points, drawing.title, drawing.currency), path)
    except (OSError, ValueError) as error:
        raise DrawingError(f"{path}: {error}") from None


def main() -> int:
    """The child process."""
    try:
        _write_png(msgspec.json.decode(sys.stdin.buffer.read(), type=Drawing | FanChart | Chart), sys.argv[1])
    except DrawingError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
