import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from kokex.adapters.drawing.draw import Drawing, DrawingError, draw
from kokex.adapters.drawing.picture import date_ticks, picture, thin

HOUR = 3_600_000_000_000
POINTS = [(i * HOUR, 1000.0 + (i * 37) % 101 - i / 2) for i in range(200)]


def ns(year: int, month: int, day: int, hour: int = 0) -> int:
    return int(datetime(year, month, day, hour, tzinfo=UTC).timestamp()) * 10**9


def test_a_spike_of_one_point_survives_thinning() -> None:
    points = [(i, 100.0) for i in range(100_000)]
    points[54_321] = (54_321, 1.0)
    points[54_322] = (54_322, 900.0)
    kept = thin(points, buckets=100)
    assert len(kept) <= 202
    assert {points[0], points[54_321], points[54_322], points[-1]} <= set(kept)
    assert [at for at, _ in kept] == sorted(at for at, _ in kept)


def test_drawdown_is_percent_below_the_highest_so_far() -> None:
    made = picture([(0, 100.0), (1, 200.0), (2, 150.0), (3, 250.0)], "", "")
    assert [fall for _, fall in made.drawdown] == [0, 0, -25, 0]
    assert made.summary.endswith("100.00 to 250.00 (+150.00 %)   ·   max drawdown 25.00 %")


@pytest.mark.parametrize(
    ("first", "last", "labels"),
    [
        (ns(2025, 1, 1, 22), ns(2025, 1, 2, 3), ["22:00", "23:00", "2025-01-02", "01:00", "02:00", "03:00"]),
        (ns(2025, 1, 30), ns(2025, 1, 31, 9), ["2025-01-30", "06:00", "12:00", "18:00", "2025-01-31", "06:00"]),
        (ns(2024, 11, 14), ns(2025, 11, 13), ["2025-01", "2025-03", "2025-05", "2025-07", "2025-09", "2025-11"]),
        (ns(2015, 6, 1), ns(2025, 6, 1), ["2016-01", "2018-01", "2020-01", "2022-01", "2024-01"]),
    ],
)  # fmt: skip
def test_dates_stand_at_round_times(first: int, last: int, labels: list[str]) -> None:
    assert [label for _, label in date_ticks(first, last)] == labels


def test_the_html_needs_nothing_from_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "equity.html"
    draw(POINTS, path, title="a < b", currency="USDT")
    text = path.read_text()
    assert "<title>a &lt; b</title>" in text
    assert "Equity, USDT" in text
    assert "Drawdown, %" in text
    assert re.findall(r"<script|<link|<img|src=|@import|url\(", text) == []
    assert set(re.findall(r"https?://[^\"]*", text)) == {"http://www.w3.org/2000/svg"}  # a name, not an address


@pytest.mark.parametrize(
    "points",
    [
        [(ns(2025, 1, 1), 100_000.0), (ns(2025, 1, 2), 99_000.0)],  # a date under either edge
        [(ns(2025, 1, 1), 1000.0), (ns(2025, 1, 1) + 9 * 10**9, 1012.5)],
        [(ns(2025, 1, 1), 2.5e12), (ns(2025, 2, 1), 3.149416139344e12)],
    ],
)
def test_no_word_is_cut_at_an_edge(tmp_path: Path, points: list[tuple[int, float]]) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (the extra kokex[plot]) is not installed")
    from matplotlib.image import imread

    draw(points, tmp_path / "equity.png", currency="USDT")
    shown = imread(tmp_path / "equity.png")[:, :, :3]
    for edge in (shown[:3], shown[-3:], shown[:, :3], shown[:, -3:]):
        assert edge.min() == 1, "something was drawn up to the edge"

    draw(points, tmp_path / "equity.html", currency="USDT")
    text = (tmp_path / "equity.html").read_text()
    found = re.findall(r'<text x="([\d.]+)" y="[\d.]+"(?: text-anchor="(\w+)")?[^>]*>([^<]*)<', text)
    assert len(found) > 8
    for x, anchor, words in found:
        width = 7.6 * len(words)  # of the 14 px of a sans serif
        left = float(x) - {"middle": width / 2, "end": width, "": 0}[anchor]
        assert 0 <= left <= left + width <= 1200, words


def test_a_flat_curve_can_be_drawn(tmp_path: Path) -> None:
    draw([(at, 1000.0) for at, _ in POINTS], tmp_path / "flat.html")
    assert "nan" not in (tmp_path / "flat.html").read_text()


def test_the_png_is_drawn_by_another_process(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib (the extra kokex[plot]) is not installed")
    path = tmp_path / "equity.png"
    code = f"import sys; from kokex.adapters.drawing.draw import draw; draw({POINTS!r}, {str(path)!r})"
    subprocess.run([sys.executable, "-c", f"{code}; assert 'matplotlib' not in sys.modules"], check=True)
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert (int.from_bytes(head[16:20]), int.from_bytes(head[20:24])) == (1200, 700)


def test_without_matplotlib_the_error_names_the_extra_and_the_alternative(tmp_path: Path) -> None:
    code = (
        "import sys; sys.modules['matplotlib'] = None; from kokex.adapters.drawing import draw; sys.exit(draw.main())"
    )
    child = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "equity.png")],
        input=msgspec.json.encode(Drawing(POINTS)),
        capture_output=True,
        check=False,
    )
    assert child.returncode == 1
    assert "pip install 'kokex[plot]'" in child.stderr.decode()
    assert ".html" in child.stderr.decode()


@pytest.mark.parametrize(
    ("points", "name", "message"),
    [
        (POINTS, "equity.jpg", r"name a file that ends in \.png or \.html"),
        (POINTS[:1], "equity.html", "needs two points or more, not 1"),
        (POINTS, "missing/equity.html", "No such file or directory"),
        (POINTS, "missing/equity.png", "No such file or directory|matplotlib"),
    ],
)
def test_what_cannot_be_drawn_says_why(
    tmp_path: Path, points: list[tuple[int, float]], name: str, message: str
) -> None:
    with pytest.raises(DrawingError, match=message):
        draw(points, tmp_path / name)
