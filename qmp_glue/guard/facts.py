"""What a judgement rests on, read fresh each time: the live map and what the host forbids."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from planner.findings import Finding
from planner.host.profile import HostProfile, Scope
from planner.host.read import HostUnreadableError, read_host
from planner.judge.forbidden import Binding, bind
from planner.machine.family import virtio_mem_extent
from planner.region import GuestMap, Region, WindowKind
from planner.span import Span
from qmp_glue.asks import Asks
from qmp_glue.errors import GlueError
from qmp_glue.guard.aside import aside
from qmp_glue.guard.assigned import Assigned
from qmp_glue.guard.verdicts import CannotJudgeError
from qmp_glue.reading import PluggedMemory, read_guest

__all__ = [
    "Live",
    "groups_of",
    "host_binding",
    "memory_reach",
    "read_live",
    "usable_region",
]


@dataclass(frozen=True, slots=True)
class Live:
    """A running QEMU as it is now."""

    guest: GuestMap
    plugged: tuple[PluggedMemory, ...]
    #: Device memory; None when the machine has none.
    window: Span | None
    #: QEMU's name of the target, ``x86_64``.
    target: str

    @property
    def hash(self) -> str:
        """A short name for this very map."""
        text = "\n".join(f"{r.span} {r.kind} {r.name}" for r in self.guest.regions)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def taken(self) -> tuple[Span, ...]:
        """What the memory devices take of device memory."""
        return tuple(device.span for device in self.plugged)


def usable_region(requested: int, size: int, block: int, target: str) -> int:
    """Return how much of a virtio-mem device may hold memory.

    The guest may plug blocks anywhere in the usable region, which reaches beyond what is requested:
    ``virtio_mem_resize_usable_region()`` in hw/virtio/virtio-mem.c, QEMU 7.2.
    """
    if not requested:
        return 0
    usable = min(size, requested + virtio_mem_extent(target))
    return min(size, -(-usable // block) * block)


def memory_reach(data: Mapping[str, int], target: str) -> int:
    """Return how far from its start a virtio-mem device may hold memory now.

    A smaller request leaves the usable region as it was, until the guest has given everything back
    or is reset (``virtio_mem_set_requested_size()`` in hw/virtio/virtio-mem.c, QEMU 7.2), and QEMU
    does not tell how large it was: while the guest holds more than is requested, its memory may be
    anywhere in the device.

    :param data: of an entry in query-memory-devices.
    """
    if data["size"] > data["requested-size"]:
        return data["max-size"]
    return usable_region(data["requested-size"], data["max-size"], data["block-size"], target)


async def read_live(session: Asks) -> Live:
    """Read the map and the memory devices.

    :raise CannotJudgeError: one of them cannot be read.
    """
    try:
        (guest, plugged), told = await asyncio.gather(
            read_guest(session, "live"), session.once("query-target")
        )
        target = told["arch"]
    except (GlueError, KeyError, TypeError, ValueError) as exc:
        raise CannotJudgeError(f"the live map cannot be read: {exc}") from exc
    window = next((w.span for w in guest.windows if w.kind is WindowKind.DEVICE_MEMORY), None)
    return Live(_cut(guest, plugged, str(target)), plugged, window, str(target))


def _cut(guest: GuestMap, plugged: tuple[PluggedMemory, ...], target: str) -> GuestMap:
    """Cut virtio-mem regions to what may hold memory: only that is mapped for DMA."""
    limits = {
        device.span: memory_reach(device.data, target)
        for device in plugged
        if "requested-size" in device.data
    }
    regions: list[Region] = []
    for region in guest.regions:
        owner = next((span for span in limits if span.contains(region.span)), None)
        if owner is None:
            regions.append(region)
            continue
        end = min(region.span.end, owner.start + limits[owner])
        if end > region.span.start:
            regions.append(replace(region, span=Span(region.span.start, end)))
    return replace(guest, regions=tuple(regions))


def groups_of(host: HostProfile, devices: tuple[Assigned, ...]) -> tuple[str, ...]:
    """Return names that stand for the groups of *devices* in *host*: one member of each.

    :raise CannotJudgeError: a device is in no group the facts know.
    """
    names = set()
    for device in devices:
        group = host.group_of(device.name) if device.name else None
        if group is None and device.group:
            group = next((each for each in host.groups if each.id == device.group), None)
        if group is None or not group.devices:
            shown = device.name or f"group {device.group}"
            raise CannotJudgeError(f"{shown} is in no IOMMU group of {host.name}")
        members = [member.name for member in group.devices]
        names.add(device.name if device.name in members else members[0])
    return tuple(sorted(names))


async def host_binding(
    sources: Sequence[str], scope: Scope, devices: tuple[Assigned, ...]
) -> tuple[Binding, frozenset[str]]:
    """Read hosts' facts and return what binds, and the ids of the groups of *devices*.

    The first host is where the VM runs: *devices* are looked up there. On the others the guest may
    be given any device, so all of their groups bind.

    :param sources: each ``/sys``, a copied tree, or a profile file.
    :raise CannotJudgeError: the facts cannot be read, or do not know a device.
    """
    # A host with a thousand groups takes tens of milliseconds: events must not wait for it.
    first, *others = [await aside(f"the host's facts at {each}", _read, each) for each in sources]
    names = groups_of(first, devices)
    ids = frozenset(group.id for name in names if (group := first.group_of(name)))
    binding = bind([first], scope, names)
    if others:
        entries = {*binding.forbidden, *bind(others, Scope.HOST, ()).forbidden}
        binding = replace(binding, hosts=(first, *others), forbidden=tuple(sorted(entries)))
    return binding, ids


def _read(source: str) -> HostProfile:
    try:
        host = read_host(source)
    except (HostUnreadableError, OSError, ValueError) as exc:
        raise CannotJudgeError(f"the host's facts cannot be read: {exc}") from exc
    if not host.groups and any(finding.code != "MM307" for finding in _errors(host)):
        reason = "; ".join(finding.message for finding in _errors(host))
        raise CannotJudgeError(f"the host's facts cannot be read: {reason}")
    return host


def _errors(host: HostProfile) -> list[Finding]:
    return [finding for finding in host.findings if finding.severity == "error"]
