"""Exact address intervals.

Inside the program an interval is half-open, ``[start, end)``; whatever is shown to a person or
written to a file has an inclusive last byte, as in Linux and QEMU. Python's integers do not
overflow, so the whole 64-bit space is simply ``Span(0, 1 << 64)``; an interval that would leave
that space cannot be made.

Units are bytes throughout. This module imports nothing of the project.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import overload

__all__ = [
    "ADDRESS_LIMIT",
    "GIB",
    "KIB",
    "MIB",
    "TIB",
    "Span",
    "SpanError",
    "SpanSet",
    "align_down",
    "align_up",
]

KIB = 1 << 10
MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40

#: One past the last address there is; Linux and VFIO speak of 64-bit IOVAs.
ADDRESS_LIMIT = 1 << 64


class SpanError(ValueError):
    """The numbers do not make an interval: empty, negative, or past the 64-bit space."""


def align_up(value: int, alignment: int) -> int:
    """Return the smallest multiple of *alignment* that is not below *value*.

    The result may be past the end of the address space; making a :class:`Span` of it checks that.

    :raise SpanError: *alignment* is not positive.
    """
    if alignment <= 0:
        raise SpanError(f"alignment {alignment:#x} is not positive")
    return -(-value // alignment) * alignment


def align_down(value: int, alignment: int) -> int:
    """Return the largest multiple of *alignment* that is not above *value*.

    :raise SpanError: *alignment* is not positive.
    """
    if alignment <= 0:
        raise SpanError(f"alignment {alignment:#x} is not positive")
    return value // alignment * alignment


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A non-empty interval ``[start, end)`` of byte addresses.

    >>> Span.sized(0xfee00000, MIB)
    Span(0xfee00000, 0xfef00000)
    >>> str(Span.inclusive(0xfee00000, 0xfeefffff))
    '0xfee00000-0xfeefffff'
    """

    #: First byte.
    start: int
    #: One past the last byte; at most :data:`ADDRESS_LIMIT`.
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.end <= ADDRESS_LIMIT:
            raise SpanError(
                f"[{self.start:#x}, {self.end:#x}) is not an interval of the 64-bit address space"
            )

    @classmethod
    def sized(cls, base: int, size: int) -> Span:
        """Make the interval of *size* bytes that starts at *base*."""
        return cls(base, base + size)

    @classmethod
    def inclusive(cls, first: int, last: int) -> Span:
        """Make the interval from *first* to *last*, both included, as Linux prints it."""
        return cls(first, last + 1)

    @property
    def last(self) -> int:
        """The last byte, included."""
        return self.end - 1

    @property
    def size(self) -> int:
        """Number of bytes, at least 1."""
        return self.end - self.start

    def overlaps(self, other: Span) -> bool:
        """Say whether the two share a byte."""
        return self.start < other.end and other.start < self.end

    def contains(self, other: Span) -> bool:
        """Say whether every byte of *other* is in this one."""
        return self.start <= other.start and other.end <= self.end

    def intersection(self, other: Span) -> Span | None:
        """Return the shared bytes, or None when there are none."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Span(start, end) if start < end else None

    def __contains__(self, address: int) -> bool:
        return self.start <= address < self.end

    def __str__(self) -> str:
        return f"{self.start:#x}-{self.last:#x}"

    def __repr__(self) -> str:
        return f"Span({self.start:#x}, {self.end:#x})"


#: Everything a 64-bit address can name.
EVERYTHING = Span(0, ADDRESS_LIMIT)


class SpanSet:
    """An immutable set of addresses, kept as the fewest sorted intervals.

    Intervals that overlap or touch are one, so two sets are equal exactly when they hold the same
    bytes. The bounds live in one flat tuple ``(start0, end0, start1, end1, ...)``, strictly
    increasing: all operations are merges over it, and :class:`Span` objects are made only when
    somebody asks for them.

    >>> SpanSet([Span(0, 4), Span(4, 8), Span(10, 12)])
    SpanSet(0x0-0x7, 0xa-0xb)
    """

    __slots__ = ("_bounds",)

    _bounds: tuple[int, ...]

    def __init__(self, spans: Iterable[Span] = ()) -> None:
        self._bounds = _canonical([(span.start, span.end) for span in spans])

    @classmethod
    def _from_bounds(cls, bounds: Iterable[int]) -> SpanSet:
        made = cls.__new__(cls)
        made._bounds = tuple(bounds)  # noqa: SLF001  # its own class
        return made

    @classmethod
    def from_bounds(cls, pairs: Iterable[tuple[int, int]]) -> SpanSet:
        """Make a set from ``(start, end)`` pairs, half-open, in any order.

        For bulk input: it checks the outer bounds once instead of building a Span for each pair.

        :raise SpanError: a pair is empty or reversed, or leaves the 64-bit space.
        """
        listed = list(pairs)
        if any(start >= end for start, end in listed):
            start, end = next(pair for pair in listed if pair[0] >= pair[1])
            raise SpanError(f"[{start:#x}, {end:#x}) is not an interval")
        bounds = _canonical(listed)
        if bounds and (bounds[0] < 0 or bounds[-1] > ADDRESS_LIMIT):
            raise SpanError("an interval leaves the 64-bit address space")
        return cls._from_bounds(bounds)

    def __iter__(self) -> Iterator[Span]:
        bounds = self._bounds
        return map(Span, bounds[::2], bounds[1::2])

    def __len__(self) -> int:
        return len(self._bounds) // 2

    def __bool__(self) -> bool:
        return bool(self._bounds)

    @overload
    def __getitem__(self, index: int) -> Span: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Span, ...]: ...
    def __getitem__(self, index: int | slice) -> Span | tuple[Span, ...]:
        if isinstance(index, slice):
            return tuple(self)[index]
        return Span(self._bounds[::2][index], self._bounds[1::2][index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SpanSet) and self._bounds == other._bounds

    def __hash__(self) -> int:
        return hash(self._bounds)

    def __contains__(self, address: int) -> bool:
        return bisect_right(self._bounds, address) % 2 == 1

    def __repr__(self) -> str:
        return f"SpanSet({', '.join(map(str, self))})"

    @property
    def size(self) -> int:
        """Number of bytes in the set."""
        return sum(self._bounds[1::2]) - sum(self._bounds[::2])

    def __or__(self, other: SpanSet) -> SpanSet:
        pairs = list(zip(self._bounds[::2], self._bounds[1::2], strict=True))
        pairs += zip(other._bounds[::2], other._bounds[1::2], strict=True)
        return SpanSet._from_bounds(_canonical(pairs))

    def __and__(self, other: SpanSet) -> SpanSet:
        return SpanSet._from_bounds(_meet(self._bounds, other._bounds))

    def __sub__(self, other: SpanSet) -> SpanSet:
        # A - B is A met with everything outside B; the outside's bounds are B's own, shifted by
        # one place, so no second merge loop is needed.
        return SpanSet._from_bounds(_meet(self._bounds, (0, *other._bounds, ADDRESS_LIMIT)))

    def gaps(self, within: Span = EVERYTHING) -> SpanSet:
        """Return the bytes of *within* that are not in the set."""
        return SpanSet([within]) - self

    def overlaps(self, span: Span) -> bool:
        """Say whether the set and *span* share a byte."""
        at = bisect_right(self._bounds, span.start)
        return at % 2 == 1 or (at < len(self._bounds) and self._bounds[at] < span.end)

    def covers(self, span: Span) -> bool:
        """Say whether every byte of *span* is in the set."""
        at = bisect_right(self._bounds, span.start)
        return at % 2 == 1 and span.end <= self._bounds[at]

    def first_fit(self, size: int, align: int = 1, within: Span = EVERYTHING) -> Span | None:
        """Return the lowest aligned interval of *size* bytes inside the set and *within*."""
        bounds = self._bounds
        for at in range(bisect_right(bounds, within.start) & ~1, len(bounds), 2):
            start = bounds[at]
            if start >= within.end:
                break
            base = -(-max(start, within.start) // align) * align
            if base + size <= bounds[at + 1] and base + size <= within.end:
                return Span(base, base + size)
        return None

    def last_fit(self, size: int, align: int = 1, within: Span = EVERYTHING) -> Span | None:
        """Return the highest aligned interval of *size* bytes inside the set and *within*."""
        bounds = self._bounds
        for at in range((bisect_right(bounds, within.last) - 1) & ~1, -1, -2):
            end = min(bounds[at + 1], within.end)
            if end <= within.start:
                break
            base = (end - size) // align * align
            if base >= bounds[at] and base >= within.start:
                return Span(base, base + size)
        return None


def _canonical(pairs: list[tuple[int, int]]) -> tuple[int, ...]:
    """Sort *pairs* and merge those that overlap or touch; the one builder of a SpanSet."""
    if not pairs:
        return ()
    pairs.sort()
    bounds: list[int] = []
    low, high = pairs[0]
    for start, end in pairs:
        if start > high:
            bounds += (low, high)
            low, high = start, end
        elif end > high:
            high = end
    bounds += (low, high)
    return tuple(bounds)


def _meet(left: tuple[int, ...], right: tuple[int, ...]) -> list[int]:
    """Intersect two flat bound lists by one merge.

    *right* may begin or end with an empty pair (``0, 0`` or the limit twice), which the shifted
    complement in ``__sub__`` makes; an empty pair never yields anything.
    """
    bounds: list[int] = []
    at = to = 0
    left_count, right_count = len(left), len(right)
    while at < left_count and to < right_count:
        left_end, right_end = left[at + 1], right[to + 1]
        start = max(right[to], left[at])
        if left_end <= right_end:
            if start < left_end:
                bounds += (start, left_end)
            at += 2
        else:
            if start < right_end:
                bounds += (start, right_end)
            to += 2
    return bounds
