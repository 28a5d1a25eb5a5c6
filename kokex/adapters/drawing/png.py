"""A curve of equity and a forecast as PNG, in the short-lived process of `drawing`."""

# pyright: reportUnknownMemberType=false
# matplotlib leaves its keyword arguments untyped.

from kokex.adapters.drawing.canvas import (
    BLUE,
    DASHED,
    INK,
    RED,
    SOFT,
    amounts,
    columns,
    dates,
    days,
    figure,
    panel,
    save,
    spread,
)  # fmt: skip
from kokex.adapters.drawing.fan import FanChart
from kokex.adapters.drawing.picture import Picture

_LEFT = 0.09
_RIGHT = 0.955  # a date under the right edge needs the half of its width beyond it


def write(picture: Picture, path: str) -> None:
    """Draws 1200 x 700 pixels. Raises OSError when the file cannot be written."""
    drawn = figure(picture.title, picture.summary, _LEFT, 7)
    grid = drawn.add_gridspec(2, 1, height_ratios=(11, 4), hspace=0.14, left=_LEFT, right=_RIGHT, top=0.86, bottom=0.08)
    above = drawn.add_subplot(grid[0])
    beneath = drawn.add_subplot(grid[1], sharex=above)

    times, equity = columns(picture.equity)
    above.set_title(f"Equity, {picture.currency}" if picture.currency else "Equity", loc="left", fontsize=11)
    above.axhline(equity[0], color=SOFT, linewidth=1, linestyle=DASHED)
    above.fill_between(times, equity, equity[0], color=BLUE, alpha=0.12, linewidth=0)
    above.plot(times, equity, color=BLUE, linewidth=1.5)
    amounts(above)
    above.tick_params(labelbottom=False)

    times, drawdown = columns(picture.drawdown)
    beneath.set_title("Drawdown, %", loc="left", fontsize=11)
    beneath.fill_between(times, drawdown, 0, color=RED, alpha=0.25, linewidth=0)
    beneath.plot(times, drawdown, color=RED, linewidth=1.1)
    beneath.set_ylim(min(*drawdown, -0.01) * 1.05, 0)
    dates(beneath, picture.equity[0][0], picture.equity[-1][0])
    beneath.set_xlim(times[0], times[-1])
    panel(above)
    panel(beneath)
    save(drawn, path, _RIGHT)


def write_fan(chart: FanChart, path: str) -> None:
    """Draws 1200 x 700 pixels. Raises OSError when the file cannot be written, ValueError when there is nothing."""
    chart.check()
    start, end = chart.history[0][0], chart.fan.bands[-1][0]
    drawn = figure(chart.title, chart.summary, _LEFT, 7)
    axes = drawn.add_axes((_LEFT, 0.08, 0.82, 0.77))

    axes.plot(*columns(chart.history), color=INK, linewidth=1.4)
    spread(axes, chart.fan)
    axes.axvline(days(chart.fan.at_ns), color=SOFT, linewidth=1, linestyle=DASHED)
    for price, text in chart.levels:
        axes.axhline(price, color=RED, linewidth=1, linestyle=(0, (2, 3)))
        axes.text(days(end), price, f" {text}", fontsize=9.5, color=RED, va="center", ha="left", clip_on=False)
    axes.legend(loc="upper left", frameon=False, labelcolor=SOFT, ncols=3, fontsize=10)
    amounts(axes)
    axes.margins(y=0.12)
    dates(axes, start, end)
    axes.set_xlim(days(start), days(end))
    panel(axes)
    save(drawn, path, 0.98)
