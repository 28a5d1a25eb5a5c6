"""What every PNG is drawn with: a figure with its head, axes of one look, a fan. By matplotlib, in the child."""

# pyright: reportUnknownMemberType=false
# matplotlib leaves its keyword arguments untyped.

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from kokex.adapters.drawing.fan import Fan
from kokex.adapters.drawing.picture import date_ticks, level

BLUE, GREEN, RED, AMBER, INK, SOFT = "#0969da", "#1a7f37", "#cf222e", "#9a6700", "#1f2328", "#59636e"
_GRID = "#d8dee4"
DASHED, DOTTED = (0, (5, 5)), (0, (1, 2))


def figure(title: str, summary: str, left: float, height: float) -> Figure:
    """1200 pixels wide, with title and summary above `left`."""
    made = Figure(figsize=(12, height), dpi=100)
    FigureCanvasAgg(made)
    made.text(left, 0.945, title, fontsize=16, fontweight="bold")
    made.text(left, 0.908, summary, fontsize=10.5, color=SOFT)
    return made


def panel(axes: Axes) -> None:
    """A grid and quiet labels, no frame."""
    axes.grid(color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=SOFT, length=0)
    axes.spines[:].set_visible(False)


def amounts(axes: Axes) -> None:
    """Prices or money up the side, never with an exponent."""

    def label(value: float, _place: float | None) -> str:
        return level(value)

    axes.yaxis.set_major_formatter(FuncFormatter(label))


def dates(axes: Axes, first_ns: int, last_ns: int) -> None:
    """Round UTC times along the bottom."""
    ticks = date_ticks(first_ns, last_ns)
    axes.set_xticks([days(at) for at, _ in ticks], [label for _, label in ticks])


def save(drawn: Figure, path: str, right: float) -> None:
    """Raises OSError when the file cannot be written."""
    drawn.text(right, 0.018, "UTC", fontsize=10, color=SOFT, ha="right")
    drawn.savefig(path)


def spread(axes: Axes, fan: Fan) -> None:
    """The bands of a forecast and its median, from the close it was made at."""
    at, q05, q25, q50, q75, q95 = zip(*fan.opened(), strict=True)
    times = [days(each) for each in at]
    axes.fill_between(times, q05, q95, color=BLUE, alpha=0.15, linewidth=0, label="90 %")
    axes.fill_between(times, q25, q75, color=BLUE, alpha=0.27, linewidth=0, label="50 %")
    axes.plot(times, q50, color=BLUE, linewidth=1.6, label="median")


def days(at: float) -> float:
    """Days since 1970: nanoseconds are too large for tick arithmetic."""
    return at / 86_400e9


def columns(points: Sequence[tuple[int, float]]) -> tuple[list[float], list[float]]:
    return [days(at) for at, _ in points], [value for _, value in points]
