"""Would this hotplug work: memory against what is assigned, a device against the memory there is.

Memory where an assigned device's group forbids it ends the running VM: QEMU's memory listener gets
EINVAL from VFIO_IOMMU_MAP_DMA and has no way back (``hw_error()`` in hw/vfio/common.c
``vfio_listener_region_add()``, QEMU 7.2 to 10.0). A device whose group forbids what memory already
covers is merely refused. Both are said here before QEMU is asked.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from planner.findings import Finding
from planner.judge.collision import Collision, collisions
from planner.judge.devices import judge_devices
from planner.judge.forbidden import Binding
from planner.judge.kernel import off_block
from planner.judge.ram import judge_ram
from planner.region import GuestMap, Kind, Origin, Region
from planner.span import ADDRESS_LIMIT, Span, SpanSet
from planner.units import show_size

__all__ = [
    "MemoryVerdict",
    "Plug",
    "judge_device",
    "judge_growth",
    "judge_memory",
    "place_of",
]

_PAGE = 4096
_ASKED = Origin("the command judged")


@dataclass(frozen=True, slots=True)
class Plug:
    """A memory device about to be added. Sizes and addresses in bytes."""

    #: Its id, or ``(unnamed)``.
    name: str
    #: Address range it takes.
    size: int
    #: Alignment QEMU gives it.
    align: int
    #: The address asked for; None leaves it to QEMU.
    addr: int | None = None
    #: How much of it, from its start, may hold memory after this command; None is all. Of a
    #: virtio-mem device only the usable region does.
    used: int | None = None
    #: Whether *align* is surely what QEMU uses, not only a multiple of it.
    exact: bool = True

    def at(self, address: int) -> Span:
        """Return the range it takes at *address*, as far as there are addresses."""
        return Span(address, min(address + self.size, ADDRESS_LIMIT))


@dataclass(frozen=True, slots=True)
class MemoryVerdict:
    """What was found out about a :class:`Plug`."""

    #: Where it would be: at its address, or where QEMU would put it; None when it has no address
    #: and there is no room.
    place: Span | None
    findings: tuple[Finding, ...] = ()
    #: The nearest address where all of it may be; None when there is none.
    free: int | None = None
    #: Whether it may be wherever QEMU would put it, with any alignment it may use.
    sure: bool = True

    @property
    def fits(self) -> bool:
        """Whether it may go where QEMU would put it."""
        return not any(finding.severity == "error" for finding in self.findings)


def place_of(plug: Plug, window: Span, taken: SpanSet) -> Span | None:
    """Return where the device would be, None when it has no address and there is no room.

    With an address: there, whether QEMU would take that or not. Without: the first fit from the
    window's start (hw/mem/memory-device.c ``memory_device_get_free_addr()``, QEMU 7.2).

    :param taken: what the memory devices already there take.
    """
    if plug.addr is None:
        return (SpanSet([window]) - taken).first_fit(plug.size, plug.align, window)
    return plug.at(plug.addr)


def judge_memory(
    plug: Plug,
    window: Span,
    taken: Iterable[Span],
    binding: Binding,
    fatal: frozenset[str],
    *,
    block: int = 1,
) -> MemoryVerdict:
    """Judge a memory device against what the groups in *binding* forbid.

    :param window: device memory.
    :param taken: what the memory devices already there take.
    :param fatal: ids of the groups whose devices are assigned now; memory over their regions ends
        the VM, over others it bars their devices.
    :param block: the guest's memory block, where it has to bring this memory online; in bytes.
    """
    occupied = SpanSet(taken)
    place = place_of(plug, window, occupied)
    if place is None:
        return MemoryVerdict(None)
    free = _nearest(plug, place.start, SpanSet([window]) - occupied - binding.holes)
    used = plug.size if plug.used is None else plug.used
    findings = []
    if used:
        region = _region(plug.name, Span(place.start, min(place.start + used, place.end)))
        where = "no address in the device memory window works"
        if free is not None:
            where = f"nearest free address {free:#x}"
        findings = [
            _collision(met, fatal, where) for met in collisions([region], binding.forbidden)
        ]
    if not findings and used < plug.size:
        findings = _limited(plug, place, binding)
    findings += off_block(_region(plug.name, place), block)
    sure = plug.addr is not None or _sure(plug, place, window, occupied, binding)
    return MemoryVerdict(place, tuple(findings), free, sure)


def _sure(plug: Plug, place: Span, window: Span, taken: SpanSet, binding: Binding) -> bool:
    """Say whether every place QEMU may choose is clear.

    A machine may align to less than thought (pc-i440fx-2.1 to a page: hw/i386/pc.c
    ``enforce_aligned_dimm``, QEMU 7.2): then the first fit is lower, down to that of pages.
    """
    if not binding.holes.overlaps(window):
        return True
    lowest = (SpanSet([window]) - taken).first_fit(plug.size, _PAGE, window)
    return (
        plug.exact
        and lowest is not None
        and not binding.holes.overlaps(Span(lowest.start, place.end))
    )


def judge_growth(
    name: str, base: int, used: int, binding: Binding, fatal: frozenset[str]
) -> list[Finding]:
    """Judge memory at *base* that is about to hold up to *used* bytes (virtio-mem)."""
    if not used:
        return []
    region = _region(name, Span.sized(base, used))
    found = list(collisions([region], binding.forbidden))
    room = max(0, min((met.shared.start for met in found), default=base) - base)
    where = f"at most {show_size(room)} of it stay clear" if room else "none of it is clear"
    # Measured on QEMU 7.2 and Linux 6.12 (docs/lab.md): the guest's plug is refused, the VM lives.
    end = "the guest could not plug it"
    return [_collision(met, fatal, where, end=end) for met in found]


def judge_device(guest: GuestMap, binding: Binding) -> list[Finding]:
    """Judge the devices that *binding* names against the memory there is.

    :param guest: the live map, virtio-mem devices cut to what may hold memory.
    """
    advice = "unplug that memory first, or restart the guest with memory around the range"
    return [*judge_devices(binding), *judge_ram(guest, binding, advice)]


def _region(name: str, span: Span) -> Region:
    return Region(span, name, Kind.RAM, _ASKED)


def _nearest(plug: Plug, start: int, usable: SpanSet) -> int | None:
    """Return the start of the fit nearest to *start*; the lower of two equally near."""
    above = usable.first_fit(plug.size, plug.align, Span(start, 1 << 64))
    # A fit below may reach over *start*, but begins before it.
    below = usable.last_fit(plug.size, plug.align, Span(0, start + plug.size)) if start else None
    fits = [fit.start for fit in (below, above) if fit]
    return min(fits, key=lambda address: (abs(address - start), address), default=None)


def _collision(
    met: Collision, fatal: frozenset[str], where: str, *, end: str = "QEMU would abort"
) -> Finding:
    """Put memory over a forbidden range in words.

    :param fatal: groups whose devices are assigned now.
    :param end: what happens when one of theirs is covered.
    """
    beyond = met.entry.beyond
    if fatal and (beyond or fatal.intersection(met.entry.groups)):
        consequence = end
    else:
        consequence = f"no device {'' if beyond else 'of it '}could be assigned any more"
    overlap = "" if met.shared == met.entry.span else f" ({met.sized})"
    return met.finding(
        met.code,
        f"{met.words('memory')}{overlap}: {consequence}; {where}",
        "give an address outside the range, or leave it to guestmap to choose one",
    )


def _limited(plug: Plug, place: Span, binding: Binding) -> list[Finding]:
    hits = list(collisions([_region(plug.name, place)], binding.forbidden))
    if not hits:
        return []
    met = min(hits, key=lambda hit: (hit.shared.start, hit.entry))
    return [
        met.finding(
            "MM702",
            f"memory '{plug.name}' [{place}] can grow by at most"
            f" {show_size(met.shared.start - place.start)}: behind that is {met.entry.words}",
            "a resize past that point will be refused",
        )
    ]
