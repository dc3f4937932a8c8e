"""What a QEMU says about its map, over an open session: queries only, nothing is changed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from planner.machine.family import recognise
from planner.region import GuestMap, Kind, Origin, Region, Window, WindowKind
from planner.span import Span
from qmp_glue.asks import Asks
from qmp_glue.errors import CommandError, GarbageError
from qmp_glue.mtree import parse_mtree

__all__ = ["PluggedMemory", "read_guest", "read_map", "read_memory_devices"]


@dataclass(frozen=True, slots=True)
class PluggedMemory:
    """One entry of ``query-memory-devices``."""

    id: str
    #: ``dimm``, ``nvdimm``, ``virtio-mem``, ….
    type: str
    #: Id of the backend.
    memdev: str
    span: Span
    slot: int | None
    #: All that QEMU tells of it.
    data: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


async def read_map(session: Asks, source: str, notes: Iterable[str] = ()) -> GuestMap:
    """Read the whole map.

    :param source: ``probe`` or ``live``.
    :param notes: to go with the map.
    :raise GlueError: QEMU did not answer, or not with a map.
    """
    return (await read_guest(session, source, notes))[0]


async def read_guest(
    session: Asks, source: str, notes: Iterable[str] = ()
) -> tuple[GuestMap, tuple[PluggedMemory, ...]]:
    """Read the whole map and the memory devices in it, lowest first; as :func:`read_map`."""
    kind, cpu = await asyncio.gather(session.constant("/machine", "type"), _cpu(session))
    machine = str(kind or "").removesuffix("-machine")
    target = str(cpu.get("target", ""))
    # Without a CPU to tell the target, the type alone: a PC's windows must not be missed.
    family = recognise(machine, target or None)
    # All in one go, and only what this board can answer: each question takes its millisecond.
    devices, text, device_memory, holes, bits = await asyncio.gather(
        read_memory_devices(session),
        session.text("info mtree -f"),
        _device_memory(session),
        _pc_holes(session, family.bridge_path if family else ""),
        _address_bits(session, cpu),
    )
    ids = {(device.memdev, device.span.start): device.id for device in devices if device.id}
    regions = parse_mtree(text, ids)
    windows = [*device_memory, *_gpex_regions(regions), *holes]
    if not (family and family.bridge_path) and all(
        window.kind is WindowKind.DEVICE_MEMORY for window in windows
    ):
        windows += await _gpex_windows(session)
    guest = GuestMap(
        source=source,
        machine=family.name if family else machine,
        target=target,
        qemu=str(session.version),
        regions=regions,
        windows=tuple(windows),
        address_bits=bits,
        notes=(f"machine type {machine}", *notes),
        machine_type=machine,
    )
    return guest, devices


async def _cpu(session: Asks) -> dict[str, Any]:
    """Return what QEMU says of its first CPU."""
    cpus = await session.once("query-cpus-fast")
    return cpus[0] if isinstance(cpus, list) and cpus and isinstance(cpus[0], dict) else {}


async def _address_bits(session: Asks, cpu: dict[str, Any]) -> int | None:
    """Return a CPU's physical address bits where it has the property (x86)."""
    if "qom-path" not in cpu:
        return None
    bits = await session.constant(str(cpu["qom-path"]), "phys-bits")
    return bits if isinstance(bits, int) and bits else None


async def read_memory_devices(session: Asks) -> tuple[PluggedMemory, ...]:
    """Return the memory devices, lowest first.

    :raise GlueError: as :func:`read_map`.
    """
    answer = await session.execute("query-memory-devices")
    try:
        found = [_plugged(entry["type"], entry["data"]) for entry in answer]
    except (KeyError, TypeError, ValueError):
        raise GarbageError(
            f"{session.name}: query-memory-devices answered something else"
        ) from None
    return tuple(sorted((item for item in found if item), key=lambda item: item.span))


def _plugged(kind: str, data: dict[str, Any]) -> PluggedMemory | None:
    base = data.get("addr", data.get("memaddr"))
    size = data.get("max-size", data.get("size"))
    if base is None or not size:
        return None
    memdev = str(data.get("memdev", "")).rpartition("/")[2]
    return PluggedMemory(
        str(data.get("id", "")),
        str(kind),
        memdev,
        Span.sized(int(base), int(size)),
        data.get("slot"),
        data,
    )


async def _gpex_windows(session: Asks) -> list[Window]:
    """Return the windows of a generic PCIe host that old machine types do not show in the map."""
    owner = "/machine/unattached"
    try:
        children = await session.execute("qom-list", {"path": owner})
    except CommandError:
        return []
    hosts = [
        str(child.get("name"))
        for child in children
        if isinstance(child, dict) and child.get("type") == "child<gpex-pcihost>"
    ]
    windows = []
    for host in hosts[:1]:
        for name, kind in _GPEX_ALIASES:
            path = f"{owner}/{host}/{name}[0]"
            base, size = await session.get(path, "addr"), await session.get(path, "size")
            if isinstance(base, int) and isinstance(size, int) and size > 0:
                origin = Origin(f"qom-get {path}")
                windows.append(Window(Span.sized(base, size), kind.value, kind, origin))
    return windows


#: hw/arm/virt.c ``create_pcie()``, QEMU 7.2.
_GPEX_ALIASES = (
    ("pcie-mmio", WindowKind.PCI_MMIO32),
    ("pcie-mmio-high", WindowKind.PCI_MMIO64),
)
#: What the host bridges of the PC boards call the bounds they report. The end is one past the last
#: byte: hw/pci-host/q35.c ``q35_host_get_pci_hole_end()``, QEMU 7.2.
_PC_HOLES = (
    ("pci-hole", WindowKind.PCI_MMIO32),
    ("pci-hole64", WindowKind.PCI_MMIO64),
)
_ENDS = ("start", "end")


async def _device_memory(session: Asks) -> list[Window]:
    path = "/machine/device-memory[0]"
    base, size = await asyncio.gather(*(session.constant(path, n) for n in ("addr", "size")))
    if not isinstance(base, int) or not isinstance(size, int) or size <= 0:
        return []
    kind = WindowKind.DEVICE_MEMORY
    return [Window(Span.sized(base, size), kind.value, kind, Origin(f"qom-get {path}"))]


async def _pc_holes(session: Asks, bridge: str) -> list[Window]:
    if not bridge:
        return []
    ends = [session.get(bridge, f"{name}-{end}") for name, _ in _PC_HOLES for end in _ENDS]
    told = await asyncio.gather(*ends)
    windows = []
    for (_, kind), start, end in zip(_PC_HOLES, told[::2], told[1::2], strict=True):
        if isinstance(start, int) and isinstance(end, int) and start < end:
            windows.append(Window(Span(start, end), kind.value, kind, Origin(f"qom-get {bridge}")))
    return windows


def _gpex_regions(regions: Iterable[Region]) -> Iterable[Window]:
    """Yield the generic PCIe host's windows, which are in the map of Arm, RISC-V, LoongArch."""
    for region in regions:
        if region.name.startswith("gpex_mmio_window") and region.kind is Kind.IO:
            low = region.span.start < 1 << 32
            kind = WindowKind.PCI_MMIO32 if low else WindowKind.PCI_MMIO64
            yield Window(region.span, kind.value, kind, region.origin)
