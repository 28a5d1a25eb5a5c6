"""A chart of candles as PNG, in the short-lived process of `drawing`."""

# pyright: reportUnknownMemberType=false
# matplotlib leaves its keyword arguments untyped.

from matplotlib.axes import Axes

from kokex.adapters.drawing.canvas import (
    AMBER,
    DOTTED,
    GREEN,
    RED,
    SOFT,
    amounts,
    dates,
    days,
    figure,
    panel,
    save,
    spread,
)  # fmt: skip
from kokex.adapters.drawing.chart import Chart

_LEFT, _RIGHT = 0.02, 0.89
_FAN_FRINGE = 1.5  # steps between the last candle and the right edge


def write(chart: Chart, path: str) -> None:
    """Draws 1200 x 800 pixels. Raises OSError when the file cannot be written, ValueError without a candle."""
    if not chart.bars:
        raise ValueError("there are no candles to draw")
    drawn = figure(chart.title, chart.summary, _LEFT, 8)
    grid = drawn.add_gridspec(2, 1, height_ratios=(13, 3), hspace=0.08, left=_LEFT, right=_RIGHT, top=0.86, bottom=0.07)
    above = drawn.add_subplot(grid[0])
    beneath = drawn.add_subplot(grid[1], sharex=above)

    _bars(above, beneath, chart)
    if chart.fan:
        spread(above, chart.fan)
    _marks(above, chart)
    if chart.stop is not None:
        above.axhline(chart.stop, color=AMBER, linewidth=1.2, linestyle=(0, (4, 3)))
        above.annotate(f" stop {chart.stop:,.8g}", (1.0, chart.stop), xycoords=("axes fraction", "data"), color=AMBER)

    first, last = chart.bars[0][0], chart.bars[-1][0] + chart.span_ns
    end = last + round(_FAN_FRINGE * chart.span_ns)
    if chart.fan:
        end = max(end, chart.fan.bands[-1][0] + chart.span_ns)
    above.set_xlim(days(first - chart.span_ns), days(end))
    dates(beneath, first, end)
    close = chart.bars[-1][4]
    above.axhline(close, color=SOFT, linewidth=0.7, linestyle=DOTTED)
    label = {"boxstyle": "round,pad=0.25", "facecolor": SOFT, "edgecolor": "none"}
    above.annotate(
        f"{close:,.8g}", (1.0, close), xytext=(4, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        va="center", color="white", fontsize=10.5, bbox=label,
    )  # fmt: skip
    beneath.set_title("Volume", loc="left", fontsize=10, color=SOFT, y=0.72, x=0.005)
    amounts(above)
    above.tick_params(labelbottom=False)
    beneath.set_yticks([])
    for axes in (above, beneath):
        axes.yaxis.tick_right()
        panel(axes)
    save(drawn, path, _RIGHT)


def _bars(above: Axes, beneath: Axes, chart: Chart) -> None:
    width = 0.7 * days(chart.span_ns)
    for rising, colour in ((True, GREEN), (False, RED)):
        bars = [bar for bar in chart.bars if (bar[4] >= bar[1]) == rising]
        times = [days(bar[0] + chart.span_ns / 2) for bar in bars]
        above.vlines(times, [bar[3] for bar in bars], [bar[2] for bar in bars], color=colour, linewidth=1)
        least = (max(bar[2] for bar in chart.bars) - min(bar[3] for bar in chart.bars)) / 600  # a body can be seen
        heights = [max(abs(bar[4] - bar[1]), least) for bar in bars]
        above.bar(times, heights, width, bottom=[min(bar[1], bar[4]) for bar in bars], color=colour)
        beneath.bar(times, [bar[5] for bar in bars], width, color=colour, alpha=0.45)


def _marks(axes: Axes, chart: Chart) -> None:
    """Triangles: upwards for buying, full for what was traded, hollow for what was only wanted."""
    for up, traded in ((True, False), (False, False), (True, True), (False, True)):
        marks = [mark for mark in chart.marks if (mark.up, mark.traded) == (up, traded)]
        if marks:
            colour = GREEN if up else RED
            axes.scatter(
                [days(mark.at) for mark in marks], [mark.price for mark in marks],
                marker="^" if up else "v", s=130 if traded else 70, zorder=5,
                facecolors=colour if traded else "white", edgecolors="white" if traded else colour, linewidths=1.2,
            )  # fmt: skip
