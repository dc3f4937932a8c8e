"""Interval sets: union, subtract and 64 first fits, against the libraries there are.

The work: n random regions, half of them the guest's and half forbidden; the union of the forbidden
ones, the usable rest of a 2**48 space, that less the guest's regions, then 64 aligned first fits in
it.
Each library is used by its own set objects, as its documentation does; all must give one answer.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import intervaltree
import numpy as np
import portion

from planner.span import Span, SpanSet

SPACE = 1 << 48
ALIGN = 1 << 21
Pairs = list[tuple[int, int]]
Result = tuple[int, list[int]]


def draw(count: int, seed: int) -> tuple[Pairs, Pairs, list[int]]:
    rng = random.Random(seed)
    # A quarter of the space is covered whatever the count, so gaps shrink with it.
    mean = SPACE // (4 * count)

    def some(number: int) -> Pairs:
        starts = [rng.randrange(0, SPACE - 2 * mean) for _ in range(number)]
        return [(start, start + rng.randrange(1, 2 * mean)) for start in starts]

    sizes = [rng.randrange(mean // 2, 24 * mean) for _ in range(64)]
    return some(count // 2), some(count - count // 2), sizes


def ours(guest: Pairs, host: Pairs, sizes: list[int]) -> Result:
    usable = SpanSet.from_bounds(host).gaps(Span(0, SPACE)) - SpanSet.from_bounds(guest)
    fits = [usable.first_fit(size, ALIGN) for size in sizes]
    return usable.size, [fit.start if fit else -1 for fit in fits]


def with_portion(guest: Pairs, host: Pairs, sizes: list[int]) -> Result:
    usable = portion.closedopen(0, SPACE)
    usable -= portion.Interval(*(portion.closedopen(a, b) for a, b in host))
    usable -= portion.Interval(*(portion.closedopen(a, b) for a, b in guest))
    fits = [scan(((p.lower, p.upper) for p in usable), size) for size in sizes]
    return sum(part.upper - part.lower for part in usable), fits


def with_portion_stepwise(guest: Pairs, host: Pairs, sizes: list[int]) -> Result:
    usable = portion.closedopen(0, SPACE)
    for start, end in host + guest:
        usable -= portion.closedopen(start, end)
    fits = [scan(((p.lower, p.upper) for p in usable), size) for size in sizes]
    return sum(part.upper - part.lower for part in usable), fits


def with_intervaltree(guest: Pairs, host: Pairs, sizes: list[int]) -> Result:
    usable = intervaltree.IntervalTree.from_tuples([(0, SPACE)])
    for start, end in host + guest:
        usable.chop(start, end)
    fits = [scan(((i.begin, i.end) for i in sorted(usable)), size) for size in sizes]
    return sum(interval.length() for interval in usable), fits


def scan(rooms: Iterable[tuple[int, int]], size: int) -> int:
    for start, end in rooms:
        base = -(-start // ALIGN) * ALIGN
        if base + size <= end:
            return base
    return -1


def with_numpy(guest: Pairs, host: Pairs, sizes: list[int]) -> Result:
    both = np.array(guest + host, dtype=np.int64)
    both = both[np.argsort(both[:, 0], kind="stable")]
    ends = np.maximum.accumulate(both[:, 1])
    starts = both[:, 0]
    new = np.concatenate(([True], starts[1:] > ends[:-1]))
    last = np.concatenate((new[1:], [True]))
    lows = np.concatenate(([0], ends[last]))
    highs = np.concatenate((starts[new], [SPACE]))
    keep = lows < highs
    lows, highs = lows[keep], highs[keep]
    bases = -(-lows // ALIGN) * ALIGN
    fits = []
    for size in sizes:
        found = np.flatnonzero(bases + size <= highs)
        fits.append(int(bases[found[0]]) if len(found) else -1)
    return int((highs - lows).sum()), fits


def measure(
    work: Callable[[Pairs, Pairs, list[int]], Result], case: tuple[Pairs, Pairs, list[int]]
) -> tuple[float, Result]:
    best = float("inf")
    result: Result = (0, [])
    for _ in range(3 if len(case[0]) < 100_000 else 1):
        start = time.perf_counter()
        result = work(*case)
        best = min(best, time.perf_counter() - start)
    return best, result


def main() -> None:
    parser = argparse.ArgumentParser(description=Path(__file__).stem)
    parser.add_argument("--quick", action="store_true", help="libraries only up to 10 000 regions")
    arguments = parser.parse_args()
    limits: dict[str, tuple[Callable[[Pairs, Pairs, list[int]], Result], int]] = {
        "numpy": (with_numpy, 10**6),
        "intervaltree": (with_intervaltree, 10**4 if arguments.quick else 10**5),
        "portion, in bulk": (with_portion, 10**4 if arguments.quick else 10**5),
        "portion, one by one": (with_portion_stepwise, 10**3),
    }
    print("regions      ours" + "".join(f"{name:>24}" for name in limits))
    previous = None
    for count in (10**3, 10**4, 10**5, 10**6):
        case = draw(count, count)
        mine, answer = measure(ours, case)
        line = f"{count:>7} {mine:>8.4f}s"
        for work, most in limits.values():
            if count > most:
                line += f"{'–':>24}"
                continue
            theirs, other = measure(work, case)
            if other != answer:
                raise SystemExit(f"{work.__name__} disagrees at {count} regions")
            line += f"{theirs:>12.4f}s {theirs / mine:>8.2f} ×"
        if previous:
            line += f"   ({mine / previous:.1f} × the row above)"
        previous = mine
        print(line, flush=True)


if __name__ == "__main__":
    main()
