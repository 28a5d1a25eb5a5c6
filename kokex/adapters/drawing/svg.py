"""A picture as one HTML file: inline SVG, no script, nothing to load, dark where the reader's screen is."""

from html import escape
from math import ceil, floor, log10

from kokex.adapters.drawing.picture import Picture, Points, date_ticks, level

_WIDTH, _HEIGHT = 1200, 700
_LEFT, _RIGHT = 110, 1150  # a date under the right edge needs the half of its width beyond it
_EQUITY, _DRAWDOWN = (95, 465), (505, 640)  # top and bottom of each panel

_STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1f2328; --soft: #59636e; --grid: #d8dee4;
        --equity: #0969da; --loss: #cf222e; }
@media (prefers-color-scheme: dark) { :root { --paper: #0d1117; --ink: #e6edf3; --soft: #9198a1; --grid: #2b3138;
        --equity: #4493f8; --loss: #f85149; } }
body { margin: 0; background: var(--paper); }
svg { display: block; width: 100%; max-width: 1600px; max-height: 100vh; margin: auto; }
text { font: 14px system-ui, sans-serif; fill: var(--soft); }
.title { font-size: 22px; font-weight: 600; fill: var(--ink); }
.name { fill: var(--ink); font-weight: 600; }
.grid { stroke: var(--grid); }
.start { stroke: var(--soft); stroke-dasharray: 5 5; }
.equity { fill: none; stroke: var(--equity); stroke-width: 1.6; stroke-linejoin: round; }
.gain { fill: var(--equity); opacity: 0.12; }
.loss { fill: none; stroke: var(--loss); stroke-width: 1.2; stroke-linejoin: round; }
.lost { fill: var(--loss); opacity: 0.25; }
""".strip()


class _Scale:
    """Maps low..high to pixels."""

    def __init__(self, low: float, high: float, start: float, stop: float) -> None:
        self.low = low
        self.start = start
        self.factor = (stop - start) / (high - low)

    def __call__(self, value: float) -> float:
        return round(self.start + (value - self.low) * self.factor, 1)


def page(picture: Picture) -> str:
    """The whole document."""
    title = escape(picture.title)
    across = _Scale(picture.equity[0][0], max(picture.equity[-1][0], picture.equity[0][0] + 1), _LEFT, _RIGHT)
    body = [
        f'<text class="title" x="{_LEFT}" y="38">{title}</text>',
        f'<text x="{_LEFT}" y="63" xml:space="preserve">{escape(picture.summary)}</text>',
        *_dates(picture, across),
        *_equity(picture, across),
        *_drawdown(picture, across),
    ]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{title}</title>\n<style>\n{_STYLE}\n</style>\n</head>\n<body>",
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
            f"<title>{title}: {escape(picture.summary)}</title>",
            *body,
            "</svg>\n</body>\n</html>\n",
        ]
    )


def _equity(picture: Picture, across: _Scale) -> list[str]:
    top, bottom = _EQUITY
    values = [value for _, value in picture.equity]
    low, high = min(values), max(values)
    room = (high - low) * 0.04 or abs(high) * 0.01 or 1.0
    up = _Scale(low - room, high + room, bottom, top)
    start = up(values[0])
    line = _path(picture.equity, across, up)
    name = escape(f"Equity, {picture.currency}" if picture.currency else "Equity")
    return [
        *_levels(low - room, high + room, up, count=8),
        f'<text class="name" x="{_LEFT}" y="{top - 9}">{name}</text>',
        f'<path class="gain" d="{line} L{_RIGHT},{start} L{_LEFT},{start} Z"/>',
        f'<line class="start" x1="{_LEFT}" y1="{start}" x2="{_RIGHT}" y2="{start}"/>',
        f'<path class="equity" d="{line}"/>',
    ]


def _drawdown(picture: Picture, across: _Scale) -> list[str]:
    top, bottom = _DRAWDOWN
    deepest = min(min(value for _, value in picture.drawdown) * 1.05, -0.01)
    up = _Scale(deepest, 0, bottom, top)
    line = _path(picture.drawdown, across, up)
    return [
        *_levels(deepest, 0, up, count=5),
        f'<text class="name" x="{_LEFT}" y="{top - 9}">Drawdown, %</text>',
        f'<path class="lost" d="{line} L{_RIGHT},{top} L{_LEFT},{top} Z"/>',
        f'<path class="loss" d="{line}"/>',
    ]


def _path(points: Points, across: _Scale, up: _Scale) -> str:
    return "M" + " L".join(f"{across(at)},{up(value)}" for at, value in points)


def _levels(low: float, high: float, up: _Scale, count: int) -> list[str]:
    """Horizontal grid lines at round numbers, labelled on the left."""
    step = round_step((high - low) / count)
    digits = max(0, -floor(log10(step)))
    lines: list[str] = []
    for number in range(ceil(low / step), floor(high / step) + 1):
        y = up(number * step)
        lines.append(f'<line class="grid" x1="{_LEFT}" y1="{y}" x2="{_RIGHT}" y2="{y}"/>')
        label = level(round(number * step, digits))
        lines.append(f'<text x="{_LEFT - 10}" y="{y + 5}" text-anchor="end">{label}</text>')
    return lines


def _dates(picture: Picture, across: _Scale) -> list[str]:
    """Vertical grid lines through both panels, labelled beneath."""
    lines: list[str] = []
    for at, label in date_ticks(picture.equity[0][0], picture.equity[-1][0]):
        x = across(at)
        for top, bottom in (_EQUITY, _DRAWDOWN):
            lines.append(f'<line class="grid" x1="{x}" y1="{top}" x2="{x}" y2="{bottom}"/>')
        lines.append(f'<text x="{x}" y="{_DRAWDOWN[1] + 24}" text-anchor="middle">{label}</text>')
    lines.append(f'<text x="{_RIGHT}" y="{_HEIGHT - 10}" text-anchor="end">UTC</text>')
    return lines


def round_step(rough: float) -> float:
    """The next of 1, 2, 5 x 10^n at or above `rough`."""
    power = 10.0 ** floor(log10(rough))
    return next(power * digit for digit in (1, 2, 5, 10) if power * digit >= rough * 0.999999)
