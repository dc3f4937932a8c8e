"""Timing for the benches: the quickest of some runs, which is the one least disturbed."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ["best"]


def best(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the seconds of the quickest of *rounds* runs."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)
