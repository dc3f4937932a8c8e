"""Where the MSI doorbell window goes.

RAM goes first; the doorbell takes what is left. A window is free when it shares no byte with a
guest region (the machine's own doorbell aside) and none with what a host forbids, except that it
may lie wholly inside a host's ``msi`` region: there it *is* that host's doorbell. The preferred
window if free, otherwise the highest free one wholly below 4 GiB, aligned to its size. The answer
depends on nothing but the bytes.

Who really decides: on x86 the window is the architecture's. On Arm, Linux (7.2) fixes the host's
window at 0x08000000 (``MSI_IOVA_BASE`` in drivers/iommu/arm/arm-smmu-v3/arm-smmu-v3.c), and QEMU's
machines fix the guest's doorbell in their code. :func:`choose` says who realises its choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from planner.findings import Finding, Party, Severity
from planner.judge.forbidden import Binding, Forbidden
from planner.machine.family import find_family
from planner.region import GuestMap, Loc, Origin, Region, Window, WindowKind
from planner.span import GIB, MIB, Span, SpanSet, align_up
from planner.units import show_size

__all__ = ["Choice", "Doorbell", "Realiser", "choose", "pin_conflicts", "pinned_span"]

#: Smallest window and its granule: Linux hands out MSI windows of 1 MiB (``MSI_IOVA_LENGTH``).
GRANULE = MIB
#: A doorbell must be reachable by devices that write MSIs with 32 bits.
CEILING = 4 * GIB


class Choice(StrEnum):
    """How the window was chosen."""

    PREFERRED = "preferred"
    FALLBACK = "fallback"
    PINNED = "pinned"
    NONE = "none"


class Realiser(StrEnum):
    """Who makes the chosen window the real one."""

    #: x86: the host and the machine have it there by architecture.
    ARCHITECTURE = "architecture"
    #: The host's own MSI window covers it, whatever the guest's machine thinks.
    HOST = "host"
    #: QEMU's virtio-iommu can be told the window, as the machine has no MSI controller of its own.
    VIRTIO_IOMMU = "virtio-iommu"
    #: A custom board: its VMM decides.
    BOARD = "board"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Doorbell:
    """The chosen window, with the reason in words."""

    span: Span | None
    choice: Choice
    realised_by: Realiser
    reason: str
    #: Where the hosts' MSI windows are.
    host_windows: SpanSet
    #: Where the machine's own doorbells are.
    machine_windows: SpanSet


def pinned_span(pin: int, size: int | None) -> Span:
    """Return the window a layout pins; *size* None means the granule."""
    return Span.sized(pin, size or GRANULE)


def blockers(window: Span, guest: GuestMap, binding: Binding) -> list[Region | Window | Forbidden]:
    """Return everything that makes *window* not free, in address order."""
    found: list[Region | Window | Forbidden] = [
        region for region in guest.regions if region.span.overlaps(window) and not region.doorbell
    ]
    found += [w for w in guest.windows if _is_pci(w) and w.span.overlaps(window)]
    found += [
        entry
        for entry in binding.forbidden
        if entry.span.overlaps(window) and not (entry.type == "msi" and entry.span.contains(window))
    ]
    return sorted(found, key=lambda entry: (entry.span, str(entry)))


def _is_pci(window: Window) -> bool:
    return window.kind in (WindowKind.PCI_MMIO32, WindowKind.PCI_MMIO64)


def _free_below_ceiling(guest: GuestMap, binding: Binding, size: int) -> Span | None:
    """Return the highest aligned free window of *size* bytes below 4 GiB."""
    taken = SpanSet(
        [region.span for region in guest.regions if not region.doorbell]
        + [window.span for window in guest.windows if _is_pci(window)]
    )
    hard = SpanSet(entry.span for entry in binding.forbidden if entry.type != "msi")
    msi = [entry.span for entry in binding.forbidden if entry.type == "msi"]
    ceiling = Span(0, CEILING)
    plain = (taken | hard | SpanSet(msi)).gaps(ceiling)
    candidates = [plain.last_fit(size, size)]
    # Inside one host's msi region the window may lie, if every other region that it touches is msi
    # too and contains it whole.
    for span in sorted(set(msi)):
        others = SpanSet(other for other in msi if not other.contains(span))
        inside = (taken | hard | others).gaps(span.intersection(ceiling) or ceiling)
        candidates.append(inside.last_fit(size, size, span))
    return max((c for c in candidates if c is not None), default=None)


def choose(
    guest: GuestMap,
    binding: Binding,
    *,
    prefer: int,
    pin: int | None = None,
    size: int | None = None,
    need_bytes: int = GRANULE,
    loc: Loc | None = None,
) -> tuple[Doorbell, list[Finding]]:
    """Choose the doorbell window for a finished guest map.

    :param prefer: wanted base address.
    :param pin: fixed base address, which RAM has already gone around.
    :param size: window size in bytes; None takes *need_bytes*.
    :param need_bytes: what the hosts' doorbells need, see ``planner.host.doorbells``.
    :param loc: where the layout speaks of the doorbell.
    """
    bytes_wanted = align_up(size or need_bytes, GRANULE)
    base = prefer if pin is None else pin
    wanted = Span.sized(base, bytes_wanted)
    obstacles = blockers(wanted, guest, binding)
    if wanted.start % bytes_wanted:
        in_the_way = f"{base:#x} is not aligned to the window's {show_size(bytes_wanted)}"
    elif wanted.end > CEILING:
        in_the_way = f"[{wanted}] is not wholly below 4 GiB"
    else:
        in_the_way = "; ".join(_words(entry) for entry in obstacles[:3])
    machine = SpanSet(region.span for region in guest.regions if region.doorbell)
    findings: list[Finding] = []
    chosen: Span | None
    if not in_the_way:
        choice = Choice.PREFERRED if pin is None else Choice.PINNED
        chosen, reason = wanted, f"[{wanted}] is free"
        if any(entry.type == "msi" and entry.span.contains(wanted) for entry in binding.forbidden):
            reason += " and inside the host's own MSI window"
    elif pin is not None:
        choice, chosen, reason = Choice.NONE, None, f"the pin cannot be: {in_the_way}"
        findings.append(_pin_refused(wanted, in_the_way, obstacles, guest, binding, loc=loc))
    else:
        chosen = _free_below_ceiling(guest, binding, bytes_wanted)
        choice = Choice.FALLBACK if chosen else Choice.NONE
        reason = f"preferred [{wanted}] is not free: {in_the_way}"
        if chosen:
            reason += f"; [{chosen}] is the highest free window below 4 GiB"
        else:
            findings.append(_none_free(bytes_wanted, guest, binding, loc))
    realiser = _realiser(chosen, guest, binding, machine)
    doorbell = Doorbell(chosen, choice, realiser, reason, binding.msi_windows(), machine)
    if chosen and realiser is Realiser.NOTHING:
        findings.append(_not_realised(chosen, doorbell, guest, loc))
    return doorbell, findings


def pin_conflicts(
    pin: Span, guest: GuestMap, binding: Binding, loc: Loc | None = None
) -> list[Finding]:
    """Judge a pinned window against what cannot move: fixed regions and hosts, RAM aside."""
    obstacles = [
        entry
        for entry in blockers(pin, guest, binding)
        if not (isinstance(entry, Region) and entry.kind.must_map)
    ]
    if not obstacles:
        return []
    in_the_way = "; ".join(_words(entry) for entry in obstacles[:3])
    return [_pin_refused(pin, in_the_way, obstacles, guest, binding, loc=loc)]


def _words(entry: Region | Window | Forbidden) -> str:
    if isinstance(entry, Forbidden):
        return entry.words
    return f"{entry.name} [{entry.span}] of the guest"


def _party(entry: Region | Window | Forbidden) -> Party:
    return entry.party if isinstance(entry, Forbidden) else Party.of(entry)


def _pin_refused(
    wanted: Span,
    in_the_way: str,
    obstacles: list[Region | Window | Forbidden],
    guest: GuestMap,
    binding: Binding,
    *,
    loc: Loc | None,
) -> Finding:
    free = _free_below_ceiling(guest, binding, wanted.size)
    mine = Party("doorbell", "doorbell", wanted, Origin("layout", loc))
    return Finding(
        "MM506",
        f"the doorbell cannot be pinned at [{wanted}]: {in_the_way}",
        help=f"pin it at {free.start:#x}, or leave the pin out" if free else "leave the pin out",
        parties=(mine, *map(_party, obstacles)),
        overlap=obstacles[0].span.intersection(wanted) if obstacles else None,
        loc=loc,
    )


def _none_free(size: int, guest: GuestMap, binding: Binding, loc: Loc | None) -> Finding:
    low = Span(0, CEILING)
    fill: list[Region | Window | Forbidden] = [r for r in guest.regions if r.span.overlaps(low)]
    fill += [w for w in guest.windows if _is_pci(w) and w.span.overlaps(low)]
    fill += [entry for entry in binding.forbidden if entry.span.overlaps(low)]
    fill.sort(key=lambda entry: (-entry.span.size, entry.span))
    return Finding(
        "MM505",
        f"no window of {show_size(size)} below 4 GiB is free for the doorbell: "
        + "; ".join(_words(entry) for entry in fill[:4]),
        help="make memory.size or the doorbell's size smaller, or start RAM higher",
        parties=tuple(map(_party, fill[:4])),
        loc=loc,
    )


def _realiser(chosen: Span | None, guest: GuestMap, binding: Binding, machine: SpanSet) -> Realiser:
    if chosen is None:
        return Realiser.NOTHING
    at_host = any(
        entry.type == "msi" and entry.span.contains(chosen) for entry in binding.forbidden
    )
    if machine.covers(chosen) and (at_host or not binding.hosts):
        return Realiser.ARCHITECTURE
    if at_host:
        return Realiser.HOST
    board = find_family(guest.machine)
    if board and board.drawn:
        return Realiser.BOARD
    if not machine:
        return Realiser.VIRTIO_IOMMU
    return Realiser.NOTHING


def _not_realised(chosen: Span, doorbell: Doorbell, guest: GuestMap, loc: Loc | None) -> Finding:
    hosts = ", ".join(f"[{span}]" for span in doorbell.host_windows) or "no known window"
    machine = ", ".join(f"[{span}]" for span in doorbell.machine_windows)
    return Finding(
        "MM507",
        f"nothing moves the doorbell to [{chosen}] today: the hosts have it at {hosts},"
        f" {guest.machine} has its own at {machine}",
        help="nothing needs doing: devices work with the doorbells where they are; the window is"
        " kept free for a kernel or VMM that can move it",
        parties=(Party("doorbell", "doorbell", chosen, Origin("the planner's choice")),),
        loc=loc,
        level=Severity.NOTE,
    )
