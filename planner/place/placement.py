"""RAM around the holes, within the levers the machine has.

As much boot memory as fits before the first hole, then the fewest further pieces, lowest first. The
machine model is asked, never second-guessed: a candidate is built and its map looked at, so every
rule of QEMU (rounding, the 1 TiB move, address limits) counts without being known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum

from planner.machine.device_memory import MAX_SLOTS
from planner.machine.family import Machine
from planner.machine.request import MachineRefusedError, MachineRequest, MemoryDevice
from planner.region import GuestMap, Region, WindowKind
from planner.span import ADDRESS_LIMIT, GIB, Span, SpanSet, align_down, align_up

__all__ = ["Demand", "Obstacle", "Placement", "Refusal", "largest_total", "place"]

#: How often maxmem is widened to reach past holes before a variant is given up.
_MAX_WIDENINGS = 64
#: Boot sizes tried below the largest, one memory block apart, before a variant is given up.
_MAX_BOOT_STEPS = 64


@dataclass(frozen=True, slots=True)
class Demand:
    """What placement has to achieve; sizes in bytes."""

    total: int
    #: Size and alignment of a piece.
    block: int
    boot_min: int
    #: None: as many as the pieces need.
    slots: int | None
    #: Ceiling for later hotplug; at least *total*.
    max_total: int
    #: QEMU's driver for pieces; empty where there are to be none.
    driver: str = "pc-dimm"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where memory goes, with the request that makes QEMU do it."""

    request: MachineRequest
    guest: GuestMap
    boot: tuple[Region, ...]
    pieces: tuple[Region, ...]

    @property
    def boot_bytes(self) -> int:
        """Bytes of boot memory."""
        return self.request.boot_bytes


class Obstacle(StrEnum):
    """What stands in the way of a demand."""

    BOOT = "boot"
    ROOM = "room"
    SLOTS = "slots"
    MACHINE = "machine"
    BLOCK = "block"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a demand cannot be met; the best attempt says what would have fitted."""

    obstacle: Obstacle
    message: str
    #: Bytes that found no place.
    missing: int = 0


def place(
    machine: Machine, request: MachineRequest, demand: Demand, holes: SpanSet
) -> Placement | Refusal:
    """Place a demand around the holes.

    :param request: the machine as asked; its sizes are ignored.
    :param holes: forbidden bytes, a pinned doorbell among them.
    :return: the placement that starts lowest, has the fewest pieces, then the most boot memory,
        over all levers; or the refusal of the lever that came closest.
    """
    best: Placement | None = None
    closest: Refusal | None = None
    template = replace(request, boot_bytes=demand.total, max_bytes=demand.total, slots=0)
    for variant in machine.variants(template, holes):
        outcome = _place_variant(machine, variant, demand, holes)
        if isinstance(outcome, Refusal):
            if closest is None or outcome.missing < closest.missing:
                closest = outcome
        elif best is None or _rank(outcome) < _rank(best):
            best = outcome
            if not best.pieces:
                break
    if best:
        return best
    return closest or Refusal(Obstacle.BOOT, "no window for RAM is free", demand.total)


def _rank(placement: Placement) -> tuple[int, int, int]:
    # A board whose boot memory can start anywhere gets the lowest start; QEMU's machines fix it.
    return (placement.boot[0].span.start, len(placement.pieces), -placement.boot_bytes)


def _place_variant(
    machine: Machine, request: MachineRequest, demand: Demand, holes: SpanSet
) -> Placement | Refusal:
    whole = _built(machine, replace(request, max_bytes=demand.max_total, slots=demand.slots or 0))
    if isinstance(whole, GuestMap) and not _blocked(whole, holes):
        return _finish(machine, request, demand, ())
    ceilings = sorted(_ceilings(machine, request, holes), reverse=True)
    if not ceilings:
        if isinstance(whole, MachineRefusedError):
            return Refusal(Obstacle.MACHINE, whole.message, demand.total)
        return Refusal(Obstacle.BOOT, "boot memory is blocked at its base", demand.total)
    closest: Refusal | None = None
    for ceiling in ceilings:
        for boot in _boot_sizes(min(ceiling, demand.total), demand):
            outcome = _with_boot(machine, replace(request, boot_bytes=boot), demand, holes)
            if isinstance(outcome, Placement):
                return outcome
            if closest is None or outcome.missing < closest.missing:
                closest = outcome
            if outcome.obstacle is not Obstacle.BOOT:
                break
    if closest:
        return closest
    if ceilings[0] < demand.boot_min:
        return Refusal(Obstacle.BOOT, "less boot memory fits than boot-min asks", demand.boot_min)
    return Refusal(
        Obstacle.BLOCK, "the rest is no multiple of the memory block", demand.total % demand.block
    )


def _boot_sizes(most: int, demand: Demand) -> Iterator[int]:
    """Yield boot sizes from the largest down that leave a multiple of the block for pieces."""
    boot = demand.total - align_up(demand.total - most, demand.block)
    for _ in range(_MAX_BOOT_STEPS):
        if boot < max(demand.boot_min, 1):
            return
        yield boot
        boot -= demand.block


def _built(machine: Machine, request: MachineRequest) -> GuestMap | MachineRefusedError:
    try:
        return machine.build(request)
    except MachineRefusedError as refused:
        return refused


def _blocked(guest: GuestMap, holes: SpanSet) -> Region | None:
    """Return the first boot region over a hole, or None."""
    return next((region for region in guest.boot_ram if holes.overlaps(region.span)), None)


def _walls(guest: GuestMap) -> SpanSet:
    """Return where this machine can never have memory: beyond its bits, outside ram windows."""
    walls = SpanSet()
    if guest.address_bits is not None and guest.address_bits < 64:
        walls |= SpanSet([Span(1 << guest.address_bits, ADDRESS_LIMIT)])
    ram_windows = SpanSet(w.span for w in guest.windows if w.kind is WindowKind.RAM_WINDOW)
    if ram_windows:
        fixed = SpanSet(r.span for r in guest.regions if not r.kind.must_map)
        walls |= ram_windows.gaps() | fixed
    return walls


def _ceilings(machine: Machine, request: MachineRequest, holes: SpanSet) -> set[int]:
    """Return boot sizes that end right before a hole and that the machine builds clear of all.

    Where boot RAM lies depends on its size (the split below 4 GiB, the move to 1 TiB), so each size
    found is itself a map to look at, until no new size turns up.
    """
    todo = {request.boot_bytes, GIB}
    seen: set[int] = set()
    good: set[int] = set()
    while todo:
        size = todo.pop()
        seen.add(size)
        guest = _built(machine, replace(request, boot_bytes=size, max_bytes=size, slots=0))
        if not isinstance(guest, GuestMap):
            continue
        if not _blocked(guest, holes):
            good.add(size)
        blocked = holes | _walls(guest)
        boot = guest.boot_ram
        # Part of boot memory may lie hidden behind a ROM (x86, below 1 MiB): it counts for -m.
        hidden = size - sum(region.span.size for region in boot)
        before = 0
        for region in boot:
            room = blocked.gaps(Span(region.span.start, ADDRESS_LIMIT))
            fits = room[0].size if room and room[0].start == region.span.start else 0
            todo |= {s for s in {before, before + fits} if s} - seen
            before += region.span.size + hidden
            hidden = 0
    return good


def max_boot(machine: Machine, request: MachineRequest, holes: SpanSet) -> int:
    """Return the most boot memory the machine as asked can have clear of the holes; 0 for none."""
    return max(_ceilings(machine, request, holes), default=0)


def _with_boot(
    machine: Machine, request: MachineRequest, demand: Demand, holes: SpanSet
) -> Placement | Refusal:
    """Place the rest in device memory, widening maxmem until it reaches far enough."""
    rest = demand.total - request.boot_bytes
    if not rest:
        outcome = _finish(machine, request, demand, ())
        return _unless_blocked(outcome, holes)
    if not demand.driver:
        return Refusal(Obstacle.ROOM, "the guest takes no memory but boot memory", rest)
    limit = MAX_SLOTS if demand.slots is None else demand.slots
    # The window grows with slots as well; without a wish the least that can be is assumed, so that
    # the pieces still lie inside it when their number is known.
    slots = 1 if demand.slots is None else demand.slots
    max_bytes = demand.max_total
    refusal: Refusal | None = None
    for _ in range(_MAX_WIDENINGS):
        guest = _built(machine, replace(request, max_bytes=max_bytes, slots=slots))
        if isinstance(guest, MachineRefusedError):
            return refusal or Refusal(Obstacle.MACHINE, guest.message, rest)
        blocked = _blocked(guest, holes)
        if blocked:
            return Refusal(Obstacle.BOOT, f"'{blocked.name}' is blocked", demand.total)
        chosen = choose_pieces(_rooms(guest, holes, demand.block), rest, limit)
        if isinstance(chosen, list):
            outcome = _finish(machine, replace(request, max_bytes=max_bytes), demand, tuple(chosen))
            return _unless_blocked(outcome, holes)
        refusal = chosen
        window = guest.window(WindowKind.DEVICE_MEMORY)
        if window is None or not (holes | _walls(guest)).gaps(
            Span(window.span.end - 1, ADDRESS_LIMIT)
        ):
            # Nothing above is usable, however far the window reached.
            break
        max_bytes += _step(window.span, holes, refusal.missing)
    return refusal or Refusal(Obstacle.ROOM, "device memory cannot be widened further", rest)


def _step(window: Span, holes: SpanSet, missing: int) -> int:
    """Return by how much to widen maxmem: what is missing, and the holes it has to reach past."""
    end = min(window.end + missing, ADDRESS_LIMIT)
    reach = holes & SpanSet([Span(window.end - 1, end)])
    further = holes.gaps(Span(end - 1, ADDRESS_LIMIT))
    # A hole that the new end falls into has to be passed whole.
    past = further[0].start - end if further else 0
    return align_up(missing + reach.size + max(past, 0), GIB)


def _unless_blocked(outcome: Placement | Refusal, holes: SpanSet) -> Placement | Refusal:
    """Check the finished map once more: slots and maxmem may have moved something."""
    if isinstance(outcome, Refusal):
        return outcome
    for region in (*outcome.boot, *outcome.pieces):
        if holes.overlaps(region.span):
            return Refusal(Obstacle.BOOT, f"'{region.name}' is blocked", region.span.size)
    return outcome


def _rooms(guest: GuestMap, holes: SpanSet, block: int) -> list[Span]:
    """Return the block-aligned free stretches that pieces may be put into, lowest first."""
    kinds = (WindowKind.DEVICE_MEMORY, WindowKind.RAM_WINDOW)
    windows = SpanSet(w.span for w in guest.windows if w.kind in kinds)
    boot = SpanSet(region.span for region in guest.boot_ram)
    fixed = SpanSet(r.span for r in guest.regions if not r.kind.must_map)
    rooms = []
    for span in windows - holes - _walls(guest) - boot - fixed:
        start, end = align_up(span.start, block), align_down(span.end, block)
        if start < end:
            rooms.append(Span(start, end))
    return rooms


def choose_pieces(rooms: list[Span], rest: int, slots: int) -> list[Span] | Refusal:
    """Fill *rest* bytes with the fewest pieces, and among those with the lowest.

    :param rooms: free stretches, lowest first, ends and *rest* multiples of the block.
    """
    sizes = sorted((room.size for room in rooms), reverse=True)
    total = sum(sizes)
    if total < rest:
        return Refusal(Obstacle.ROOM, "the memory does not fit", rest - total)
    fewest, reached = 0, 0
    while reached < rest:
        reached += sizes[fewest]
        fewest += 1
    if fewest > slots:
        fitting = sum(sizes[:slots])
        return Refusal(Obstacle.SLOTS, f"{fewest} pieces need {fewest} slots", rest - fitting)
    pieces: list[Span] = []
    left, budget = rest, fewest
    for index, room in enumerate(rooms):
        if not left:
            break
        later = sum(sorted((r.size for r in rooms[index + 1 :]), reverse=True)[: budget - 1])
        if later + room.size >= left:
            take = min(room.size, left)
            pieces.append(Span.sized(room.start, take))
            left -= take
            budget -= 1
    return pieces


def _finish(
    machine: Machine, request: MachineRequest, demand: Demand, pieces: tuple[Span, ...]
) -> Placement | Refusal:
    """Build the final request: slots and maxmem as demanded, the pieces at their addresses."""
    devices = tuple(
        MemoryDevice(f"dimm{index}", piece.size, piece.start, demand.driver, memdev=f"mem{index}")
        for index, piece in enumerate(pieces)
    )
    wants_more = demand.max_total > demand.total
    slots = len(pieces) + wants_more if demand.slots is None else demand.slots
    max_bytes = max(request.max_bytes, demand.max_total) if (pieces or wants_more) else 0
    final = replace(request, max_bytes=max_bytes, slots=slots, devices=devices)
    guest = _built(machine, final)
    if isinstance(guest, MachineRefusedError):
        return Refusal(Obstacle.MACHINE, guest.message, demand.total)
    names = {device.id for device in devices}
    plugged = tuple(region for region in guest.regions if region.name in names)
    return Placement(final, guest, guest.boot_ram, plugged)


def largest_total(
    machine: Machine, request: MachineRequest, demand: Demand, holes: SpanSet, granule: int
) -> int:
    """Return the largest total, in whole granules and not above the demand, that can be placed."""
    low, high = 0, demand.total // granule
    while low < high:
        middle = (low + high + 1) // 2
        total = middle * granule
        trial = replace(
            demand,
            total=total,
            max_total=total,
            boot_min=min(demand.boot_min, total),
        )
        if isinstance(place(machine, request, trial, holes), Placement):
            low = middle
        else:
            high = middle - 1
    return low * granule
