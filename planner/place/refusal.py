"""Why a demand for memory cannot be met: what is missing, what is in the way, what would work."""

from __future__ import annotations

from dataclasses import dataclass

from planner.findings import Finding, Party
from planner.graph import Interval, pileups
from planner.judge.collision import collisions
from planner.judge.forbidden import Binding, Forbidden
from planner.layout.model import Layout
from planner.machine.family import Machine
from planner.machine.request import MachineRequest
from planner.place.placement import Demand, Obstacle, Placement, Refusal, largest_total, place
from planner.region import GuestMap, Region
from planner.span import MIB, SpanSet
from planner.units import show_size

__all__ = ["Case", "explain_refusal"]


@dataclass(frozen=True, slots=True)
class Case:
    """A demand that could not be met, for explaining why."""

    layout: Layout
    machine: Machine
    request: MachineRequest
    demand: Demand
    binding: Binding
    asked: GuestMap | None

    def largest(self, binding: Binding) -> int:
        """Return the largest size that these hosts leave room for."""
        granule = min(self.demand.block, 128 * MIB)
        most = largest_total(self.machine, self.request, self.demand, binding.holes, granule)
        return most or largest_total(self.machine, self.request, self.demand, binding.holes, MIB)

    def blame(self) -> list[Forbidden]:
        """Return the entries whose absence alone would let the demand fit."""
        guilty: list[Forbidden] = []
        for span in sorted({entry.span for entry in self.binding.forbidden}):
            rest = SpanSet(e.span for e in self.binding.forbidden if e.span != span)
            if isinstance(place(self.machine, self.request, self.demand, rest), Placement):
                guilty += [entry for entry in self.binding.forbidden if entry.span == span]
        return guilty

    @property
    def ram(self) -> tuple[Region, ...]:
        """The boot memory as asked, in address order."""
        return self.asked.boot_ram if self.asked else ()

    def in_the_way(self) -> list[Forbidden]:
        """Return what the memory as asked meets."""
        found = collisions(self.ram, self.binding.forbidden)
        return list(dict.fromkeys(meeting.entry for meeting in found))


_CODES = {
    Obstacle.BOOT: "MM502",
    Obstacle.ROOM: "MM501",
    Obstacle.SLOTS: "MM503",
    Obstacle.MACHINE: "MM204",
    Obstacle.BLOCK: "MM508",
}


def explain_refusal(case: Case, refusal: Refusal) -> Finding:
    """Say why nothing fits: what is missing, what is in the way, what would work."""
    most = case.largest(case.binding)
    entries = case.blame() or case.in_the_way()
    code = _CODES[refusal.obstacle]
    if refusal.obstacle is Obstacle.BOOT and most:
        code = _CODES[Obstacle.ROOM]
    message = f"{show_size(case.demand.total)} cannot be placed: {refusal.message}"
    if refusal.obstacle is Obstacle.ROOM:
        message += f", {show_size(refusal.missing)} are missing"
    if entries:
        message += "; in the way: " + "; ".join(entry.words for entry in entries[:3])
    ram = case.ram
    parties = [*map(Party.of, ram[:1]), *(entry.party for entry in entries[:8])]
    met = pileups(
        (Interval(f"'{region.name}'", region.span) for region in ram),
        (Interval(f"{entry.title} of {entry.host}", entry.span) for entry in entries),
    )
    notes = [pile.words for pile in met]
    if len(case.binding.hosts) > 1:
        for host in case.binding.hosts:
            fits = case.largest(case.binding.only(host.name))
            notes.append(f"{host.name} alone would allow {show_size(fits) if fits else 'nothing'}")
    return Finding(
        code,
        message,
        help=_what_fits(case, refusal, most),
        parties=tuple(parties),
        loc=case.layout.where(
            "memory.slots" if refusal.obstacle is Obstacle.SLOTS else "memory.size"
        ),
        notes=tuple(notes),
    )


def _what_fits(case: Case, refusal: Refusal, most: int) -> str:
    if refusal.obstacle is Obstacle.BLOCK:
        block = case.demand.block
        near = case.demand.total // block * block
        return f"make memory.size a multiple of {show_size(block)}, such as {show_size(near)}"
    if not most:
        return "no size fits on these hosts; assign other devices or use another machine"
    return f"at most {show_size(most)} fit"
