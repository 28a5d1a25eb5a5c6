"""A picture as PNG. The only importer of matplotlib; it runs in the short-lived process of `drawing`."""

# pyright: reportUnknownMemberType=false
# matplotlib leaves its keyword arguments untyped.

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

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

    for axes in (above, beneath):
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
