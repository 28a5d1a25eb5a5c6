"""A picture as PNG. The only importer of matplotlib; it runs in the short-lived process of `drawing`."""

# pyright: reportUnknownMemberType=false
# matplotlib leaves its keyword arguments untyped.

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from kokex.adapters.drawing.fan import FanChart
from kokex.adapters.drawing.picture import Picture, Points, date_ticks

_EQUITY, _LOSS, _SOFT, _GRID = "#0969da", "#cf222e", "#59636e", "#d8dee4"


def write(picture: Picture, path: str) -> None:
    """Draws 1200 x 700 pixels. Raises OSError when the file cannot be written."""
    figure = Figure(figsize=(12, 7), dpi=100)
    FigureCanvasAgg(figure)
    grid = figure.add_gridspec(2, 1, height_ratios=(11, 4), hspace=0.14, left=0.09, right=0.98, top=0.86, bottom=0.08)
    above = figure.add_subplot(grid[0])
    beneath = figure.add_subplot(grid[1], sharex=above)

    figure.text(0.09, 0.945, picture.title, fontsize=16, fontweight="bold")
    figure.text(0.09, 0.91, picture.summary, fontsize=10.5, color=_SOFT)

    times, equity = _columns(picture.equity)
    above.set_title(f"Equity, {picture.currency}" if picture.currency else "Equity", loc="left", fontsize=11)
    above.axhline(equity[0], color=_SOFT, linewidth=1, linestyle=(0, (5, 5)))
    above.fill_between(times, equity, equity[0], color=_EQUITY, alpha=0.12, linewidth=0)
    above.plot(times, equity, color=_EQUITY, linewidth=1.5)
    above.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    above.tick_params(labelbottom=False)

    times, drawdown = _columns(picture.drawdown)
    beneath.set_title("Drawdown, %", loc="left", fontsize=11)
    beneath.fill_between(times, drawdown, 0, color=_LOSS, alpha=0.25, linewidth=0)
    beneath.plot(times, drawdown, color=_LOSS, linewidth=1.1)
    beneath.set_ylim(min(*drawdown, -0.01) * 1.05, 0)
    dates = date_ticks(picture.equity[0][0], picture.equity[-1][0])
    beneath.set_xticks([_days(at) for at, _ in dates], [label for _, label in dates])
    beneath.set_xlim(times[0], times[-1])

    _finish(figure, [above, beneath], path)


def write_fan(chart: FanChart, path: str) -> None:
    """Draws 1200 x 700 pixels. Raises OSError when the file cannot be written, ValueError when there is nothing."""
    chart.check()
    opened = chart.fan.opened()
    figure = Figure(figsize=(12, 7), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.09, 0.08, 0.82, 0.77))
    figure.text(0.09, 0.945, chart.title, fontsize=16, fontweight="bold")
    figure.text(0.09, 0.905, chart.summary, fontsize=10.5, color=_SOFT)

    times, closes = _columns(chart.history)
    axes.plot(times, closes, color="#1f2328", linewidth=1.4)
    days = [_days(at) for at, *_ in opened]
    q05, q25, q50, q75, q95 = ([step[place] for step in opened] for place in range(1, 6))
    axes.fill_between(days, q05, q95, color=_EQUITY, alpha=0.15, linewidth=0, label="90 %")
    axes.fill_between(days, q25, q75, color=_EQUITY, alpha=0.3, linewidth=0, label="50 %")
    axes.plot(days, q50, color=_EQUITY, linewidth=1.6, label="median")
    axes.axvline(days[0], color=_SOFT, linewidth=1, linestyle=(0, (5, 5)))
    for price, text in chart.levels:
        axes.axhline(price, color=_LOSS, linewidth=1, linestyle=(0, (2, 3)))
        axes.text(days[-1], price, f" {text}", fontsize=9.5, color=_LOSS, va="center", ha="left", clip_on=False)
    axes.legend(loc="upper left", frameon=False, labelcolor=_SOFT, ncols=3, fontsize=10)
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.10g}"))
    axes.margins(y=0.12)
    dates = date_ticks(chart.history[0][0], opened[-1][0])
    axes.set_xticks([_days(at) for at, _ in dates], [label for _, label in dates])
    axes.set_xlim(times[0], days[-1])
    _finish(figure, [axes], path)


def _finish(figure: Figure, all_axes: list[Axes], path: str) -> None:
    for axes in all_axes:
        axes.grid(color=_GRID, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(colors=_SOFT, length=0)
        axes.spines[:].set_visible(False)
    figure.text(0.98, 0.02, "UTC", fontsize=10, color=_SOFT, ha="right")
    figure.savefig(path)


def _columns(points: Points) -> tuple[list[float], list[float]]:
    return [_days(at) for at, _ in points], [value for _, value in points]


def _days(at: int) -> float:
    """Days since 1970: nanoseconds are too large for tick arithmetic."""
    return at / 86_400e9
