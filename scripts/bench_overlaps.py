"""Overlaps between guest and hosts: what twice the ranges cost, where one side piles up.

A sweep that is linear takes twice as long for twice the ranges, a quadratic one four times. Two
cases: host ranges that are all equal and meet nothing (nothing to find), and the same under one
guest region (one overlap each).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from clock import best

from planner.graph import Interval, deepest, overlaps
from planner.span import Span

FEW, MANY = 4000, 8000


def pile(count: int, *, met: bool) -> list[Interval]:
    """Return *count* equal ranges of hosts and one guest region, over them or elsewhere."""
    guest = Interval("ram", Span(0, 100) if met else Span(0, 1), "guest")
    return [guest, *(Interval(f"host{i}", Span(50, 60), "host") for i in range(count))]


def main() -> None:
    print(f"case                      {FEW} ranges   {MANY} ranges   ratio")
    cases: tuple[tuple[str, bool, Callable[[list[Interval]], object]], ...] = (
        ("overlaps, none", False, lambda p: list(overlaps(p, across=True))),
        ("overlaps, one each", True, lambda p: list(overlaps(p, across=True))),
        ("deepest pile-up", True, deepest),
    )
    for name, met, work in cases:
        few, many = (best(partial(work, pile(count, met=met))) for count in (FEW, MANY))
        print(f"{name:<24} {few:>10.4f} s  {many:>10.4f} s   {many / few:>5.1f}")


if __name__ == "__main__":
    main()
