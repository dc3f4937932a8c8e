"""Placement on boards made by hand, where a brute force can check every answer."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st
from kit.strategies import spans

from planner.machine.custom.board import Custom
from planner.machine.request import MachineRequest
from planner.place.placement import (
    Demand,
    Placement,
    Refusal,
    choose_pieces,
    largest_total,
    max_boot,
    place,
)
from planner.region import Kind, Origin, Region, Window, WindowKind
from planner.span import GIB, MIB, Span, SpanSet

HERE = Origin("test")
REQUEST = MachineRequest(type="custom", version="", cpu="", boot_bytes=0)


def board(*windows: Span, fixed: tuple[Span, ...] = ()) -> Custom:
    return Custom(
        tuple(Region(s, f"fixed{i}", Kind.IO, HERE) for i, s in enumerate(fixed)),
        tuple(Window(s, f"w{i}", WindowKind.RAM_WINDOW, HERE) for i, s in enumerate(windows)),
    )


def demand(total: int, **changes: int | None) -> Demand:
    base = Demand(total=total, block=128 * MIB, boot_min=0, slots=None, max_total=total)
    return replace(base, **changes)  # type: ignore[arg-type]  # fields are int or int | None


def placed(outcome: Placement | Refusal) -> Placement:
    assert isinstance(outcome, Placement), outcome
    return outcome


def refused(outcome: Placement | Refusal) -> Refusal:
    assert isinstance(outcome, Refusal), outcome
    return outcome


@given(st.lists(spans(), max_size=6), st.integers(1, 40), st.integers(1, 6))
def test_pieces_are_the_fewest_and_the_lowest(listed: list[Span], rest: int, slots: int) -> None:
    rooms = list(SpanSet(listed))
    chosen = choose_pieces(rooms, rest, slots)
    fewest = next(
        (
            n
            for n in range(1, len(rooms) + 1)
            if any(sum(r.size for r in some) >= rest for some in combinations(rooms, n))
        ),
        None,
    )
    if fewest is None:
        assert isinstance(chosen, Refusal)
        assert (chosen.obstacle, chosen.missing) == ("room", rest - sum(r.size for r in rooms))
        return
    if fewest > slots:
        assert isinstance(chosen, Refusal)
        assert chosen.message == f"{fewest} pieces need {fewest} slots"
        return
    assert isinstance(chosen, list)
    assert sum(piece.size for piece in chosen) == rest
    assert len(chosen) == fewest
    assert all(any(room.contains(piece) for room in rooms) for piece in chosen)
    used = [next(i for i, room in enumerate(rooms) if room.contains(p)) for p in chosen]
    possible = [
        list(some)
        for some in combinations(range(len(rooms)), fewest)
        if sum(rooms[i].size for i in some) >= rest
    ]
    assert used == min(possible)


def test_without_holes_memory_stays_in_one_piece() -> None:
    outcome = placed(place(board(Span(GIB, 64 * GIB)), REQUEST, demand(4 * GIB), SpanSet()))
    assert [r.span for r in outcome.boot] == [Span(GIB, 5 * GIB)]
    assert outcome.pieces == ()


def test_boot_memory_ends_before_the_hole_and_the_rest_is_whole_blocks() -> None:
    hole = Span.inclusive(0xFEE0_0000, 0xFEEF_FFFF)
    board_1g = board(Span(GIB, 64 * GIB))
    outcome = placed(place(board_1g, REQUEST, demand(4 * GIB), SpanSet([hole])))
    assert outcome.boot_bytes == 2944 * MIB
    assert [p.span for p in outcome.pieces] == [Span.sized(4 * GIB - 0, 1152 * MIB)]
    assert max_boot(board_1g, REQUEST, SpanSet([hole])) == 0xBEE0_0000


def test_a_blocked_base_moves_boot_memory_up_on_a_board_that_can() -> None:
    window, hole = Span(GIB, 64 * GIB), Span(GIB, GIB + 5)
    outcome = placed(place(board(window), REQUEST, demand(GIB), SpanSet([hole])))
    assert outcome.boot[0].span == Span.sized(GIB + MIB, GIB)


def test_boot_min_and_slots_are_kept() -> None:
    holes = SpanSet([Span.sized(2 * GIB, MIB), Span.sized(3 * GIB, MIB)])
    low = board(Span(GIB, 4 * GIB))
    assert len(placed(place(low, REQUEST, demand(5 * GIB // 2), holes)).pieces) == 2
    few = refused(place(low, REQUEST, demand(5 * GIB // 2, slots=1), holes))
    assert few.message == "2 pieces need 2 slots"
    big = refused(place(low, REQUEST, demand(5 * GIB // 2, boot_min=2 * GIB), holes))
    assert big.message == "less boot memory fits than boot-min asks"


def test_no_room_says_how_much_is_missing() -> None:
    outcome = refused(place(board(Span(GIB, 2 * GIB)), REQUEST, demand(3 * GIB), SpanSet()))
    assert (outcome.obstacle, outcome.missing) == ("room", 2 * GIB)
    assert largest_total(board(Span(GIB, 2 * GIB)), REQUEST, demand(3 * GIB), SpanSet(), MIB) == GIB


def test_no_free_window_at_all() -> None:
    window = Span(GIB, 2 * GIB)
    outcome = refused(place(board(window), REQUEST, demand(GIB), SpanSet([window])))
    assert (outcome.obstacle, outcome.message) == ("boot", "no window for RAM is free")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Custom, SpanSet, Demand]:
    def scaled() -> Span:
        span = draw(spans())
        return Span(span.start * 64 * MIB, span.end * 64 * MIB)

    windows = SpanSet([scaled() for _ in range(draw(st.integers(1, 3)))])
    fixed = tuple(SpanSet([scaled() for _ in range(draw(st.integers(0, 2)))]))
    holes = SpanSet([scaled() for _ in range(draw(st.integers(0, 4)))])
    total = draw(st.integers(1, 30)) * 64 * MIB
    asked = demand(total, slots=draw(st.sampled_from([None, 0, 1, 8])), block=128 * MIB)
    return board(*windows, fixed=fixed), holes, asked


@given(worlds())
def test_no_placement_ever_covers_a_hole(world: tuple[Custom, SpanSet, Demand]) -> None:
    machine, holes, asked = world
    outcome = place(machine, REQUEST, asked, holes)
    if isinstance(outcome, Refusal):
        assert outcome.message
        return
    memory = [*outcome.boot, *outcome.pieces]
    ram = SpanSet(region.span for region in memory)
    assert ram.size == sum(region.span.size for region in memory) == asked.total
    assert not ram & holes
    assert not ram & SpanSet(region.span for region in machine.regions)
    assert not ram - SpanSet(window.span for window in machine.windows)
    assert all(p.span.start % asked.block == 0 == p.span.size % asked.block for p in outcome.pieces)
    assert asked.slots is None or len(outcome.pieces) <= asked.slots
