"""Interval laws, against a brute force over sets of integers."""

from __future__ import annotations

import doctest
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kit.strategies import TOP, spans

import planner.span
from planner.span import ADDRESS_LIMIT, Span, SpanError, SpanSet, align_down, align_up

SETS = st.lists(spans(), max_size=8)
WORLD = Span(0, TOP)


def bytes_of(some: SpanSet | list[Span]) -> set[int]:
    return {address for span in some for address in range(span.start, span.end)}


@given(SETS)
def test_a_set_is_canonical(listed: list[Span]) -> None:
    made = SpanSet(listed)
    assert bytes_of(made) == bytes_of(listed)
    parts = list(made)
    assert all(a.end < b.start for a, b in pairwise(parts))
    assert made == SpanSet(reversed(listed))
    assert hash(made) == hash(SpanSet(reversed(listed)))
    assert made.size == len(bytes_of(listed))
    assert len(made) == len(parts)
    assert bool(made) == bool(listed)
    assert made[:] == tuple(parts)
    assert [made[i] for i in range(len(made))] == parts
    assert made == SpanSet.from_bounds((s.start, s.end) for s in listed)


@given(SETS, SETS)
def test_algebra_is_that_of_sets(left: list[Span], right: list[Span]) -> None:
    a, b = SpanSet(left), SpanSet(right)
    assert bytes_of(a | b) == bytes_of(a) | bytes_of(b)
    assert bytes_of(a & b) == bytes_of(a) & bytes_of(b)
    assert bytes_of(a - b) == bytes_of(a) - bytes_of(b)
    assert bytes_of(a.gaps(WORLD)) == set(range(TOP)) - bytes_of(a)
    for result in (a | b, a & b, a - b, a.gaps(WORLD)):
        assert result == SpanSet(list(result))


@given(SETS, spans())
def test_questions_agree_with_sets(listed: list[Span], span: Span) -> None:
    made, mine = SpanSet(listed), set(range(span.start, span.end))
    assert made.overlaps(span) == bool(bytes_of(made) & mine)
    assert made.covers(span) == (mine <= bytes_of(made))
    assert [a in made for a in range(TOP + 2)] == [a in bytes_of(made) for a in range(TOP + 2)]


@given(SETS, st.integers(1, 12), st.integers(1, 9), spans())
def test_fits_are_the_first_and_last_of_all(
    listed: list[Span], size: int, align: int, within: Span
) -> None:
    made = SpanSet(listed)
    here = bytes_of(made) & set(range(within.start, within.end))
    bases = [base for base in range(0, TOP, align) if set(range(base, base + size)) <= here]
    first, last = made.first_fit(size, align, within), made.last_fit(size, align, within)
    assert (first.start if first else None) == (min(bases) if bases else None)
    assert (last.start if last else None) == (max(bases) if bases else None)
    assert all(fit is None or fit.size == size for fit in (first, last))


@given(spans(), spans())
def test_two_spans(a: Span, b: Span) -> None:
    one, two = set(range(a.start, a.end)), set(range(b.start, b.end))
    assert a.overlaps(b) == bool(one & two)
    assert a.contains(b) == (two <= one)
    shared = a.intersection(b)
    assert (set(range(shared.start, shared.end)) if shared else set()) == one & two
    assert a.size == len(one)
    assert a.last == max(one)
    assert (a.start in a, a.end in a) == (True, False)


@given(st.integers(0, 1 << 70), st.integers(1, 1 << 40))
def test_alignment(value: int, alignment: int) -> None:
    up, down = align_up(value, alignment), align_down(value, alignment)
    assert down <= value <= up
    assert up - value < alignment > value - down
    assert up % alignment == 0 == down % alignment


@pytest.mark.parametrize(
    ("start", "end"),
    [(4, 4), (5, 4), (-1, 3), (0, ADDRESS_LIMIT + 1), (ADDRESS_LIMIT, ADDRESS_LIMIT)],
)
def test_what_is_no_interval_is_refused(start: int, end: int) -> None:
    with pytest.raises(SpanError, match="is not an interval of the 64-bit address space"):
        Span(start, end)


def test_bulk_input_is_checked() -> None:
    with pytest.raises(SpanError, match=r"\[0x4, 0x4\) is not an interval"):
        SpanSet.from_bounds([(4, 4)])
    with pytest.raises(SpanError, match="leaves the 64-bit address space"):
        SpanSet.from_bounds([(0, ADDRESS_LIMIT + 1)])
    with pytest.raises(SpanError, match="leaves the 64-bit address space"):
        SpanSet.from_bounds([(-2, 3)])


@pytest.mark.parametrize("function", [align_up, align_down])
def test_alignment_must_be_positive(function: object) -> None:
    with pytest.raises(SpanError, match="alignment 0x0 is not positive"):
        function(1, 0)  # type: ignore[operator]  # both are (int, int) -> int


def test_the_whole_space_and_its_ends() -> None:
    everything = SpanSet([Span(0, ADDRESS_LIMIT)])
    assert everything.gaps() == SpanSet()
    assert (everything - SpanSet([Span(0, 1)]))[0] == Span(1, ADDRESS_LIMIT)
    assert SpanSet() - everything == SpanSet()
    assert SpanSet().gaps() == everything
    assert everything.last_fit(4096, 4096) == Span.sized(ADDRESS_LIMIT - 4096, 4096)


def test_examples_in_the_docstrings() -> None:
    results = doctest.testmod(planner.span)
    assert results.attempted > 0
    assert results.failed == 0


def test_shown_with_both_ends_included() -> None:
    assert str(Span.sized(0xFEE00000, 1 << 20)) == "0xfee00000-0xfeefffff"
    assert repr(Span(0, 16)) == "Span(0x0, 0x10)"
    assert SpanSet([Span(0, 16)]) != "0x0-0xf"
