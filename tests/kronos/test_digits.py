"""Block fixed point is about as exact as single precision, and spoils nothing that single precision does not."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given, settings
from hypothesis import strategies as st

from kokex.kronos import native
from tests.kronos.test_native import normal, through

pytestmark = pytest.mark.skipif(not native.tiles(), reason="the compiler, the system or the processor knows no AMX")


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 70), into=st.integers(1, 1100), out=st.integers(1, 70), biased=st.booleans())
def test_rows_through_weights(rows: int, into: int, out: int, biased: bool) -> None:
    through(native.Digits, rows, into, out, biased)


@pytest.mark.parametrize(("into", "out"), [(512, 1536), (512, 512), (512, 2048), (1024, 512), (256, 1024), (832, 2496)])
def test_digits_are_about_as_exact_as_single_precision(into: int, out: int) -> None:
    weight, x = normal(out, into), normal(100, into, seed=1)
    gated = torch.nn.functional.silu(x) * normal(100, into, seed=2)  # a few outliers set the scale of a row
    for rows, worse in ((x, 1.5), (gated, 3.0)):
        expected = rows.double() @ weight.double().t()
        ours, theirs = (
            (made.double() - expected).pow(2).mean().sqrt().item()
            for made in (native.Digits(weight)(rows), torch.nn.functional.linear(rows, weight))
        )
        assert ours < worse * theirs


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_spoils_its_own_row_and_output_and_no_other(wrong: float) -> None:
    x, weight = normal(20, 600), normal(40, 600)
    clean = native.Digits(weight)(x)
    x[3, 550], weight[7, 20] = wrong, wrong
    spoilt = native.Digits(weight)(x)
    assert not spoilt[3].isfinite().any()
    assert not spoilt[:, 7].isfinite().any()
    others = torch.ones_like(clean, dtype=torch.bool)
    others[3], others[:, 7] = False, False
    assert torch.equal(spoilt[others], clean[others])


@pytest.mark.parametrize("size", [0.0, 1e-38, 1e-20, 1e20, 1e30])
def test_digits_of_any_magnitude(size: float) -> None:
    x, weight = normal(3, 64).clamp(-3, 3), normal(16, 64)
    expected = (x * size).double() @ weight.double().t()
    assert torch.allclose(native.Digits(weight)(x * size).double(), expected, rtol=1e-4, atol=1e-30 + 1e-6 * size)
    assert torch.allclose(native.Digits(weight * size)(x).double(), expected, rtol=1e-4, atol=1e-30 + 1e-6 * size)
