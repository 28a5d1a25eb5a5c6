"""Inputs and expected outputs that upstream saved, for tests that hold ours to them."""

import json
from pathlib import Path
from typing import Any

import pytest

TINY = Path(__file__).parents[3] / "shared/data/kronos/tiny"
needs_fixtures = pytest.mark.skipif(not TINY.is_dir(), reason="upstream's fixtures are absent")


def cases() -> list[dict[str, Any]]:
    return json.loads((TINY / "meta.json").read_text())["cases"] if TINY.is_dir() else []


each_case = pytest.mark.parametrize("case", cases(), ids=lambda case: case["case"])
