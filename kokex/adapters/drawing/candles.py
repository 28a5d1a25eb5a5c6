"""A chart as PNG, by matplotlib, in the short-lived process of `drawing`."""

# pyright: reportUnknownMemberType=false
# matplotlib leaves its keyword arguments untyped.

from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from kokex.adapters.drawing.chart import Chart
from kokex.adapters.drawing.fan import Fan
from kokex.adapters.drawing.picture import date_ticks

_UP, _DOWN, _FAN, _STOP, _SOFT, _GRID = "#1a7f37", "#cf222e", "#0969da", "#9a6700", "#59636e", "#d8dee4"
_DAY_NS = 86_400e9
_FAN_FRINGE = 1.5  # steps between the last candle and the right edge


def write(chart: Chart, path: str) -> None:
    """Draws 1200 x 800 pixels. Raises OSError when the file cannot be written, ValueError without a candle."""
    if not chart.bars:
        raise ValueError("there are no candles to draw")
    figure = Figure(figsize=(12, 8), dpi=100)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 1, height_ratios=(13, 3), hspace=0.08, left=0.02, right=0.89, top=0.86, bottom=0.07)
    above = figure.add_subplot(grid[0])
    beneath = figure.add_subplot(grid[1], sharex=above)
    figure.text(0.02, 0.945, chart.title, fontsize=17, fontweight="bold")
    figure.text(0.02, 0.905, chart.summary, fontsize=11.5, color=_SOFT)

    _bars(above, beneath, chart)
    if chart.fan:
        _fan(above, chart.fan)
    _marks(above, chart)
    if chart.stop is not None:
        above.axhline(chart.stop, color=_STOP, linewidth=1.2, linestyle=(0, (4, 3)))
        above.annotate(f" stop {chart.stop:,.8g}", (1.0, chart.stop), xycoords=("axes fraction", "data"), color=_STOP)

    first, last = chart.bars[0][0], chart.bars[-1][0] + chart.span_ns
    end = last + round(_FAN_FRINGE * chart.span_ns)
    if chart.fan:
        end = max(end, chart.fan.bands[-1][0] + chart.span_ns)
    above.set_xlim((first - chart.span_ns) / _DAY_NS, end / _DAY_NS)
    ticks = date_ticks(first, end)
    beneath.set_xticks([at / _DAY_NS for at, _ in ticks], [label for _, label in ticks])
    close = chart.bars[-1][4]
    above.axhline(close, color=_SOFT, linewidth=0.7, linestyle=(0, (1, 2)))
    label = {"boxstyle": "round,pad=0.25", "facecolor": _SOFT, "edgecolor": "none"}
    above.annotate(
        f"{close:,.8g}", (1.0, close), xytext=(4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        va="center", color="white", fontsize=10.5, bbox=label,
    )  # fmt: skip
    beneath.set_title("Volume", loc="left", fontsize=10, color=_SOFT, y=0.72, x=0.005)
    above.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    above.tick_params(labelbottom=False)
    beneath.set_yticks([])
    for axes in (above, beneath):
        axes.yaxis.tick_right()
        axes.grid(color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=_SOFT, length=0, labelsize=10.5)
        axes.spines[:].set_visible(False)
    figure.text(0.89, 0.015, "UTC", fontsize=10, color=_SOFT, ha="right")
    figure.savefig(path)


def _bars(above: Any, beneath: Any, chart: Chart) -> None:
    width = 0.7 * chart.span_ns / _DAY_NS
    for rising, colour in ((True, _UP), (False, _DOWN)):
        bars = [bar for bar in chart.bars if (bar[4] >= bar[1]) == rising]
        times = [(bar[0] + chart.span_ns / 2) / _DAY_NS for bar in bars]
        above.vlines(times, [bar[3] for bar in bars], [bar[2] for bar in bars], color=colour, linewidth=1)
        least = (max(bar[2] for bar in chart.bars) - min(bar[3] for bar in chart.bars)) / 600  # a body can be seen
        heights = [max(abs(bar[4] - bar[1]), least) for bar in bars]
        above.bar(times, heights, width, bottom=[min(bar[1], bar[4]) for bar in bars], color=colour)
        beneath.bar(times, [bar[5] for bar in bars], width, color=colour, alpha=0.45)


def _fan(axes: Any, fan: Fan) -> None:
    at, q05, q25, q50, q75, q95 = zip(*fan.opened(), strict=True)
    times = [each / _DAY_NS for each in at]
    axes.fill_between(times, q05, q95, color=_FAN, alpha=0.13, linewidth=0)
    axes.fill_between(times, q25, q75, color=_FAN, alpha=0.22, linewidth=0)
    axes.plot(times, q50, color=_FAN, linewidth=1.6)


def _marks(axes: Any, chart: Chart) -> None:
    """Triangles: upwards for buying, full for what was traded, hollow for what was only wanted."""
    for up, traded in ((True, False), (False, False), (True, True), (False, True)):
        marks = [mark for mark in chart.marks if (mark.up, mark.traded) == (up, traded)]
        if marks:
            colour = _UP if up else _DOWN
            axes.scatter(
                [mark.at / _DAY_NS for mark in marks], [mark.price for mark in marks],
                marker="^" if up else "v", s=130 if traded else 70, zorder=5,
                facecolors=colour if traded else "white", edgecolors="white" if traded else colour, linewidths=1.2,
            )  # fmt: skip
