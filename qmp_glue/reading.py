"""What a QEMU says about its map, over an open session: queries only, nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from planner.machine.family import recognise
from planner.region import GuestMap, Kind, Origin, Region, Window, WindowKind
from planner.span import Span
from qmp_glue.asks import Asks
from qmp_glue.errors import CommandError, GarbageError
from qmp_glue.mtree import parse_mtree

__all__ = ["PluggedMemory", "read_map", "read_memory_devices"]


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


async def read_map(session: Asks, source: str, notes: Iterable[str] = ()) -> GuestMap:
    """Read the whole map.

    :param source: ``probe`` or ``live``.
    :param notes: to go with the map.
    :raise GlueError: QEMU did not answer, or not with a map.
    """
    machine = str(await session.get("/machine", "type") or "").removesuffix("-machine")
    cpu = await _cpu(session)
    target = str(cpu.get("target", ""))
    # Without a CPU to tell the target, the type alone: a PC's windows must not be missed.
    family = recognise(machine, target or None)
    devices = await read_memory_devices(session)
    ids = {(device.memdev, device.span.start): device.id for device in devices if device.id}
    regions = parse_mtree(await session.text("info mtree -f"), ids)
    # Each question takes its millisecond, and a probe some forty: only what this board can answer.
    windows = [*await _device_memory(session), *_gpex_regions(regions)]
    if family and family.bridge_path:
        windows += await _pc_holes(session, family.bridge_path)
    elif not any(window.kind is not WindowKind.DEVICE_MEMORY for window in windows):
        windows += await _gpex_windows(session)
    return GuestMap(
        source=source,
        machine=family.name if family else machine,
        target=target,
        qemu=str(session.version),
        regions=regions,
        windows=tuple(windows),
        address_bits=await _address_bits(session, cpu),
        notes=(f"machine type {machine}", *notes),
        machine_type=machine,
    )


async def _cpu(session: Asks) -> dict[str, Any]:
    """Return what QEMU says of its first CPU."""
    cpus = await session.execute("query-cpus-fast")
    return cpus[0] if isinstance(cpus, list) and cpus and isinstance(cpus[0], dict) else {}


async def _address_bits(session: Asks, cpu: dict[str, Any]) -> int | None:
    """Return a CPU's physical address bits where it has the property (x86)."""
    bits = await session.get(str(cpu["qom-path"]), "phys-bits") if "qom-path" in cpu else None
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


async def _device_memory(session: Asks) -> list[Window]:
    path = "/machine/device-memory[0]"
    base = await session.get(path, "addr")
    size = await session.get(path, "size") if isinstance(base, int) else None
    if not isinstance(base, int) or not isinstance(size, int) or size <= 0:
        return []
    kind = WindowKind.DEVICE_MEMORY
    return [Window(Span.sized(base, size), kind.value, kind, Origin(f"qom-get {path}"))]


async def _pc_holes(session: Asks, bridge: str) -> list[Window]:
    windows = []
    for prefix, kind in _PC_HOLES:
        start = await session.get(bridge, f"{prefix}-start")
        end = await session.get(bridge, f"{prefix}-end")
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
