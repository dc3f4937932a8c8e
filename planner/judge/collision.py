"""Guest memory and windows over what a host forbids: found once, and said in one wording."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from planner.findings import Finding, Party
from planner.graph import Interval, overlaps
from planner.judge.forbidden import Forbidden
from planner.region import Loc, Region, Window
from planner.span import Span
from planner.units import show_size

__all__ = ["Collision", "collisions"]


class Collision(NamedTuple):
    """Something of the guest, what of a host it meets, and the bytes they share."""

    mine: Region | Window
    entry: Forbidden
    shared: Span

    @property
    def code(self) -> str:
        """The code of memory there: MM401, or MM402 above the IOMMU's address bits."""
        return "MM402" if self.entry.beyond else "MM401"

    @property
    def sized(self) -> str:
        """The shared bytes in a sentence: ``1 MiB at [0xfee00000-0xfeefffff]``."""
        return f"{show_size(self.shared.size)} at [{self.shared}]"

    def words(self, what: str = "", *, would: bool = False) -> str:
        """Say who meets whom: ``RAM 'ram' [...] covers msi [...] of group 3 on a``.

        :param what: what the guest's side is, put before its name.
        :param would: of a map that is not so (any more).
        """
        who = f"'{self.mine.name}' [{self.mine.span}] {self.entry.met(would=would)}"
        return f"{what} {who}".lstrip()

    def finding(
        self, code: str, message: str, help_text: str, *, loc: Loc | None = None
    ) -> Finding:
        """Return a finding about the two sides and the bytes they share."""
        parties = (Party.of(self.mine), self.entry.party)
        return Finding(code, message, help_text, parties, self.shared, loc)


def collisions(regions: Iterable[Region], forbidden: Iterable[Forbidden]) -> Iterator[Collision]:
    """Yield each memory region with each forbidden entry it overlaps, in address order."""
    guest = {f"g{i}": region for i, region in enumerate(regions) if region.kind.must_map}
    host = {f"h{i}": entry for i, entry in enumerate(forbidden)}
    sides = [Interval(name, region.span, "guest") for name, region in guest.items()]
    sides += [Interval(name, entry.span, "host") for name, entry in host.items()]
    for overlap in overlaps(sides, across=True):
        first, second = overlap.first.name, overlap.second.name
        mine, theirs = (first, second) if first in guest else (second, first)
        yield Collision(guest[mine], host[theirs], overlap.span)
