"""The kernels in C do what torch does, whatever the shapes, on either width of vectors."""

from collections.abc import Iterator
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from hypothesis import example, given, settings
from hypothesis import strategies as st

from kokex.kronos import arithmetic, native
from kokex.kronos.matrix import Kind
from kokex.kronos.memory import TorchMemory
from kokex.kronos.stack import Block, Stack

pytestmark = pytest.mark.skipif(
    native.widest() == 0, reason="no C compiler when it was installed, or another processor"
)


@pytest.fixture(params=[(8, False), (16, False), (16, True)], ids=str, autouse=True, scope="module")
def processor(request: pytest.FixtureRequest) -> Iterator[None]:
    """Floats of its vectors, and whether it has tiles."""
    lanes, tiles = request.param
    if lanes > native.widest() or tiles > native.tiles():
        pytest.skip(f"no vectors of {lanes} floats here" if lanes > native.widest() else "no AMX here")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(native, "_LANES", lanes)
        patch.setattr(native, "_TILES", tiles)
        yield


def normal(*shape: int, seed: int = 0) -> Any:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def through(kind: Kind, rows: int, into: int, out: int, biased: bool) -> None:
    x, weight, bias, before = normal(rows, into), normal(out, into), normal(out) if biased else None, normal(rows, out)
    expected = torch.nn.functional.linear(x.double(), weight.double(), None if bias is None else bias.double())
    matrix = kind(weight, bias)
    made = matrix(x)
    near = 2e-6 * (into + 1) ** 0.5
    assert torch.allclose(made.double(), expected, atol=near)
    assert torch.allclose(matrix.added(x, before.clone()).double(), expected + before, atol=near)
    for row in range(rows):  # not a digit depends on the company
        assert torch.equal(matrix(x[row : row + 1])[0], made[row])


@settings(max_examples=60, deadline=None)
@given(rows=st.integers(1, 70), into=st.integers(1, 130), out=st.integers(1, 130), biased=st.booleans())
def test_rows_through_weights(rows: int, into: int, out: int, biased: bool) -> None:
    through(native.Panels, rows, into, out, biased)


@settings(max_examples=40, deadline=None)
@given(
    batch=st.integers(1, 3), heads=st.integers(1, 4), paths=st.integers(1, 11), fresh=st.integers(1, 4),
    length=st.integers(1, 120), width=st.sampled_from([2, 16, 20, 52, 64, 104]), loud=st.booleans(),
)  # fmt: skip
def test_paths_attend_over_what_they_share_and_their_own(
    batch: int, heads: int, paths: int, fresh: int, length: int, width: int, loud: bool
) -> None:
    query, key, value = normal(3, batch, heads, length, width)
    query, near = query * width**-0.5, 2e-5
    if loud:  # one score outshouts all others, so that those underflow; what rounds it is as much greater
        query, near = query * 40, 4e-4
    (plain, read), (ours, also) = TorchMemory.read(query, key, value), native.NativeMemory.read(query, key, value)
    assert torch.allclose(read, also, atol=near)
    for memory in (plain, ours):
        memory.reserve(batch * paths, 3 * fresh)
    for step in range(3):
        rows = normal(batch * paths * fresh, 3 * heads, width, seed=step)  # as a block projects them
        q, *own = rows.view(batch, paths, fresh, 3, heads, width).permute(3, 0, 4, 1, 2, 5)
        for memory in (plain, ours):
            memory.append(torch.stack(own))
        q = q * width**-0.5
        assert torch.allclose(plain.attend(q), ours.attend(q), atol=2e-5)


def block(width: int, heads: int, inner: int, seed: int) -> dict[str, Any]:
    d = heads * width
    shapes = {f"self_attn.{each}_proj.weight": (d, d) for each in ("q", "k", "v", "out")}
    shapes |= {f"self_attn.{each}_proj.bias": (d,) for each in ("q", "k", "v", "out")}
    shapes |= {"ffn.w1.weight": (inner, d), "ffn.w3.weight": (inner, d), "ffn.w2.weight": (d, inner)}
    tensors = {
        name: normal(*shape, seed=seed + place) * shape[-1] ** -0.5
        for place, (name, shape) in enumerate(shapes.items())
    }
    return tensors | {name: 1 + normal(d, seed=seed) * 0.1 for name in ("norm1.weight", "norm2.weight")}


@settings(max_examples=30, deadline=None)
@given(
    batch=st.integers(1, 3), heads=st.integers(1, 3), paths=st.integers(1, 11), fresh=st.integers(1, 4),
    length=st.integers(1, 120), width=st.sampled_from([2, 16, 52, 64]), inner=st.integers(1, 130),
    memory_only=st.booleans(),
)  # fmt: skip
@example(batch=3, heads=2, paths=2, fresh=100, length=250, width=16, inner=600, memory_only=False)  # rows for two turns
def test_blocks_at_once(
    batch: int, heads: int, paths: int, fresh: int, length: int, width: int, inner: int, memory_only: bool
) -> None:
    tensors = [block(width, heads, inner, seed) for seed in (1, 100)]
    stacks = [
        Stack([Block(each, heads, by) for each in tensors], by) for by in (arithmetic.torchs(), arithmetic.arithmetic())
    ]
    assert stacks[1].fused
    x = normal(batch * length, heads * width)
    (plain, ones), (ours, others) = (each.prefill(x.clone(), batch, memory_only=memory_only) for each in stacks)
    assert memory_only or torch.allclose(plain, ours, atol=1e-4)
    for memory in (*ones, *others):
        memory.reserve(batch * paths, 3 * fresh)
    for step in range(3):
        rows = normal(batch * paths * fresh, heads * width, seed=step)
        turns = stacks[0].turns(length + step * fresh, fresh)
        plain, ours = (
            stack.extend(rows.clone(), memories, turns, (batch, paths))
            for stack, memories in zip(stacks, (ones, others), strict=True)
        )
        assert torch.allclose(plain, ours, atol=1e-4)


@pytest.mark.parametrize("width", [1, 16, 20, 512])
def test_norm_and_gate(width: int) -> None:
    by = arithmetic.torchs()
    x = torch.cat((normal(7, 2 * width) * 3, torch.full((1, 2 * width), -200.0), torch.full((1, 2 * width), 200.0)))
    assert torch.allclose(native.gate(x), by.gate(x), rtol=1e-6, atol=1e-30)
    for rows in (x, x * 1e-6, torch.zeros(2, width)):
        assert torch.allclose(native.direction(rows, rows.shape[-1] * 1e-5), by.direction(rows), rtol=1e-6, atol=1e-12)
