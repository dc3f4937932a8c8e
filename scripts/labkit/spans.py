"""Drawing spans to ask the kernel about: near every edge, and at random."""

from __future__ import annotations

from random import Random

from planner.span import ADDRESS_LIMIT, GIB, KIB, MIB, TIB, Span, SpanSet

__all__ = ["draw"]

_PAGE = 4 * KIB
_STEPS = (_PAGE, 2 * MIB)
#: Edges every host has: 4 GiB, the widths IOMMUs have, AMD's range, the ends of the space.
_ALWAYS = (0, 4 * GIB, 1 << 39, 1 << 44, 1 << 48, 0xFD_0000_0000, TIB, ADDRESS_LIMIT)
_SIZES = (_PAGE, 2 * _PAGE, 64 * KIB, MIB, 2 * MIB, 4 * MIB, 16 * MIB)
_LARGE = (128 * MIB, GIB, 64 * GIB, TIB, 16 * TIB)


def draw(random: Random, count: int, interesting: SpanSet) -> list[Span]:
    """Return *count* spans: two thirds at edges, the rest anywhere.

    :param interesting: sets whose bounds are edges too; what the host forbids.
    """
    edges = sorted({*_ALWAYS, *(s.start for s in interesting), *(s.end for s in interesting)})
    spans: list[Span] = []
    while len(spans) < count:
        span = _near(random, edges) if random.random() < 2 / 3 else _anywhere(random)
        if span is not None:
            spans.append(span)
    return spans


def _near(random: Random, edges: list[int]) -> Span | None:
    """Draw a span that ends, begins or lies across at an edge, or a few steps beside it."""
    edge = random.choice(edges) + random.choice(_STEPS) * random.randint(-3, 3)
    size = _size(random)
    kind = random.randrange(5)
    if kind == 0:
        return _span(edge, size)
    if kind == 1:
        return _span(edge - size, size)
    if kind == 2:
        return _span(edge - size // 2 // _PAGE * _PAGE, size)
    if kind == 3:
        # From one edge to another: exactly what is between, a page less or a page more.
        other = random.choice(edges) + _PAGE * random.randint(-1, 1)
        return _span(min(edge, other), abs(edge - other))
    # Not on a page: never to be mapped, wherever it is.
    return _span(edge + random.choice((-1, 1, 512)), size)


def _anywhere(random: Random) -> Span | None:
    bits = random.randint(13, 64)
    start = random.getrandbits(bits) // _PAGE * _PAGE
    return _span(start, _size(random))


def _size(random: Random) -> int:
    if random.random() < 0.15:
        return random.choice(_LARGE) + random.randint(-1, 1) * _PAGE
    return random.choice(_SIZES)


def _span(start: int, size: int) -> Span | None:
    # 32 TiB is what the guest's own address space can offer for one map.
    if not 0 < size <= 32 * TIB or start < 0 or start + size > ADDRESS_LIMIT:
        return None
    return Span.sized(start, size)
