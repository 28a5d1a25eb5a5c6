"""Whatever the graph and the traffic: what went into block wires comes out, once and in order."""

from collections import Counter, defaultdict
from typing import Any, ClassVar

from hypothesis import given
from hypothesis import strategies as st

from kokex.kernel.actor import Actor
from kokex.kernel.system import Hooks, inlet
from kokex.kernel.wires import Wire, block, wire
from kokex.messages import Message
from tests.kernel.graphs import ByHand, Ping, Pong, child, system_of


class Node(Actor):
    """Sends each Ping it gets on to all its readers, marked with where it came from."""

    emits: ClassVar[tuple[type[Message], ...]] = (Ping,)

    def __init__(self, name: str, seen: list[tuple[str, str, int]]) -> None:
        self.name = name
        self.seen = seen

    def on_pong(self, pong: Pong) -> None:
        for n in range(pong.n):
            self.emit(Ping(n=n, key=self.name))

    def on_ping(self, ping: Ping) -> None:
        self.seen.append((self.name, ping.key, ping.n))
        self.emit(Ping(n=ping.n, key=f"{ping.key}>{self.name}"))


class Sink(Node):
    emits: ClassVar[tuple[type[Message], ...]] = ()

    def on_ping(self, ping: Ping) -> None:
        self.seen.append((self.name, ping.key, ping.n))


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[tuple[int, int, int]]]:
    """A number of nodes, the last a sink, and edges (from, to, size) that only lead on: no cycle."""
    nodes = draw(st.integers(2, 6))
    edges: list[tuple[int, int, int]] = []
    for source in range(nodes - 1):
        targets = draw(st.sets(st.integers(source + 1, nodes - 1), min_size=1))
        edges.extend((source, target, draw(st.integers(1, 4))) for target in sorted(targets))
    return nodes, edges


def run(
    nodes: int, edges: list[tuple[int, int, int]], bursts: list[int], choose: Any, crashes: set[int]
) -> tuple[list[tuple[str, str, int]], ByHand]:
    seen: list[tuple[str, str, int]] = []
    children = [
        child(f"n{i}", lambda i=i: (Sink if i == nodes - 1 else Node)(f"n{i}", seen), Sink if i == nodes - 1 else Node)
        for i in range(nodes)
    ]
    wires: list[Wire] = [wire(f"n{a}", Ping, f"n{b}", block(size)) for a, b, size in edges]
    hand = ByHand(system_of(children, [inlet(Pong, "n0"), *wires], hooks=Hooks(choose=choose), intensity=10_000))
    for burst in bursts:
        hand.system.post("n0", Pong(n=burst))
    turns = 0
    while hand.system.queue:
        hand.system.step()
        turns += 1
        if turns in crashes:
            hand.system.starter.crashed(hand.system.cells[f"n{turns % nodes}"], "on purpose")
    hand.advance(100)
    return seen, hand


def expected(nodes: int, edges: list[tuple[int, int, int]], bursts: list[int]) -> Counter[tuple[str, str, int]]:
    """Each path from the first node, once per message."""
    paths: list[tuple[int, str]] = [(0, "n0")]
    arrivals: list[tuple[str, str]] = []
    while paths:
        at, path = paths.pop()
        for source, target, _ in edges:
            if source == at:
                arrivals.append((f"n{target}", path))
                paths.append((target, f"{path}>n{target}"))
    return Counter((name, path, n) for name, path in arrivals for burst in bursts for n in range(burst))


@given(
    graphs(),
    st.lists(st.integers(0, 9), min_size=1, max_size=4),
    st.none() | st.randoms(use_true_random=False),
    st.sets(st.integers(1, 60), max_size=4),
)
def test_block_wires_lose_and_double_nothing_and_keep_order(
    graph: tuple[int, list[tuple[int, int, int]]], bursts: list[int], order: Any, crashes: set[int]
) -> None:
    nodes, edges = graph
    seen, hand = run(nodes, edges, bursts, order.randrange if order else None, crashes)
    assert Counter(seen) == expected(nodes, edges, bursts)
    along: dict[tuple[str, str], list[int]] = defaultdict(list)
    for name, path, n in seen:
        along[name, path].append(n)
    in_order = [n for burst in bursts for n in range(burst)]
    assert all(numbers == in_order for numbers in along.values())
    assert not hand.system.dead
    assert not any(cell.waiting or cell.unsent for cell in hand.system.cells.values())
    assert {cell.state for cell in hand.system.cells.values()} == {"running"}
