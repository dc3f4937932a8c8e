"""The PC boards ``q35`` and ``pc`` (i440FX).

Where RAM goes: hw/i386/pc_q35.c ``pc_q35_init()``, hw/i386/pc_piix.c ``pc_init1()``; what comes
above it: hw/i386/pc.c ``pc_memory_init()``, ``pc_max_used_gpa()``, ``pc_pci_hole64_start()``. Read
in QEMU 7.2 and 10.0; 11.1 as its program shows. The map is that of a guest not yet started:
firmware later places MCFG and BARs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from planner.machine.device_memory import (
    MAX_SLOTS,
    place_devices,
    plugged_regions,
)
from planner.machine.family import Family, Machine
from planner.machine.flatview import Piece, flatten
from planner.machine.options import MachineOptions, check_globals, qemu_size, split_cpu
from planner.machine.pc import Q35
from planner.machine.pc.cpu import AMD, X86Cpu, x86_cpu
from planner.machine.pc.devices import (
    FOUR_GIB,
    IOAPIC,
    IOMMU_REGISTERS,
    board_devices,
    cite,
    firmware_pieces,
)
from planner.machine.ram import boot_pieces, boot_sizes
from planner.machine.request import (
    MachineRefusedError,
    MachineRequest,
    MemoryDevice,
    NotModelledError,
)
from planner.machine.versions import QemuRelease, machine_version, qemu_version, show_release
from planner.region import GuestMap, Window, WindowKind
from planner.span import ADDRESS_LIMIT, GIB, KIB, MIB, TIB, Span, SpanSet, align_up

__all__ = ["machine"]

#: ``AMD_HT_START`` and ``AMD_ABOVE_1TB_START``, hw/i386/pc.c.
_HT = Span(0xFD_0000_0000, 1 * TIB)
_PAGE = 4 * KIB
_MAX_PHYS_BITS = 52

_MAX_CPUS = 255


@dataclass(frozen=True, slots=True)
class _RamMap:
    """Where boot RAM and what follows it goes."""

    #: Bytes of boot RAM from address 0.
    low: int
    #: Bytes of boot RAM from above_start.
    above: int
    above_start: int
    device_memory: Span | None
    hole64: Span
    cpu: X86Cpu


def machine(family: Family) -> Machine:
    """Return the model of a family."""
    return _Pc(family)


class _Pc:
    """What QEMU makes of ``-M q35`` or ``-M pc``."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def build(self, request: MachineRequest) -> GuestMap:
        """Return the map; see :class:`planner.machine.family.Machine`."""
        options = self._options(request)
        ram_map = self._place(request, options)
        ram, ceiling = boot_sizes(request)
        devices = place_devices(
            request.devices,
            ram_map.device_memory,
            ceiling - ram,
            request.slots,
            partial(_check_dimm, options),
        )
        spans = [Span(0, ram_map.low)] if ram_map.low else []
        if ram_map.above:
            spans.append(Span.sized(ram_map.above_start, ram_map.above))
        pieces = [*firmware_pieces(request, self._version(request))]
        pieces += boot_pieces(request, self._family.ram, spans)
        pieces += (
            Piece(region.span, region.name, region.kind, region.origin)
            for region in plugged_regions(devices)
        )
        if request.iommu in IOMMU_REGISTERS and self._family is not Q35:
            raise MachineRefusedError(
                "Parameter 'driver' expects a dynamic sysbus device type for the machine",
                f"{request.iommu} needs -M q35",
            )
        pieces += board_devices(request, options, ram_map.cpu)
        return GuestMap(
            source="model",
            machine=self._family.name,
            target=self._family.targets[0],
            qemu=request.qemu,
            regions=flatten(pieces),
            windows=tuple(_windows(ram_map, self._version(request))),
            address_bits=ram_map.cpu.phys_bits,
        )

    def variants(self, request: MachineRequest, forbidden: SpanSet) -> Iterable[MachineRequest]:
        """Yield the request, then each lever that could move boot RAM off *forbidden*.

        ``max-ram-below-4g`` at the start of every hole in the low part, highest first; then, for
        an AMD CPU with a hole between 4 GiB and 1 TiB, the same with a PCI hole so large that
        QEMU puts everything above 4 GiB at 1 TiB.
        """
        yield request
        splits = [request]
        if "max-ram-below-4g" not in request.options:
            starts = [hole.start for hole in forbidden if MIB <= hole.start < FOUR_GIB]
            for start in sorted(starts, reverse=True):
                size = start // _PAGE * _PAGE
                options = {**request.options, "max-ram-below-4g": str(size)}
                splits.append(replace(request, options=options))
        yield from splits[1:]
        if not forbidden.overlaps(Span(FOUR_GIB, _HT.end)):
            return
        for split in splits:
            moved = self._moved_to_1t(split)
            if moved:
                yield moved

    def _moved_to_1t(self, request: MachineRequest) -> MachineRequest | None:
        """Return the request with a PCI hole that forces the move, or None when nothing can."""
        key = self._family.hole64
        if key in request.globals:
            return None
        try:
            cpu = x86_cpu(request, qemu_version(request))
            version = self._version(request)
        except (MachineRefusedError, NotModelledError):
            return None
        if cpu.vendor != AMD or not cpu.long_mode or version < (7, 1):
            return None
        moved = replace(request, globals={**request.globals, key: "1T"})
        _, features = split_cpu(request.cpu)
        if "phys-bits" in features or "host-phys-bits" in features:
            return moved
        # 1 TiB, the memory, device memory with its slots, and the hole must stay addressable.
        top = align_up(_HT.end + request.ceiling + (request.slots + 1) * GIB, GIB) + TIB
        bits = max((top - 1).bit_length(), cpu.phys_bits)
        if bits > min(request.address_bits or _MAX_PHYS_BITS, _MAX_PHYS_BITS):
            return None
        if bits > cpu.phys_bits:
            moved = replace(moved, cpu=f"{request.cpu or self._family.cpu},phys-bits={bits}")
        return moved

    def _version(self, request: MachineRequest) -> QemuRelease:
        return machine_version(request, self._family.oldest)

    def _options(self, request: MachineRequest) -> MachineOptions:
        machine_type = self._family.machine_type(show_release(self._version(request)))
        options = MachineOptions(
            request.options, self._family.options, qemu_version(request), machine_type
        )
        check_globals(request.globals, self._family.globals)
        if options.flag("cxl", default=False) or "sgx-epc" in options:
            raise NotModelledError("CXL and SGX memory are not in the machine tables")
        most = request.max_cpus or request.cpus
        if most > _MAX_CPUS:
            raise NotModelledError(f"{most} CPUs are not in the machine tables")
        return options

    def _low_bytes(self, ram: int, limit: int) -> int:
        """Return how much of boot RAM starts at address 0; a limit of 0 means none is set."""
        if self._family is Q35:
            low = 0x8000_0000 if ram >= 0xB000_0000 else 0xB000_0000
            return min(ram, low, limit or low)
        limit = limit or 0xE000_0000
        low = min(limit, 0xC000_0000) if ram >= limit else limit
        return min(ram, low)

    def _place(self, request: MachineRequest, options: MachineOptions) -> _RamMap:
        limit = _split_limit(options)
        ram, ceiling = boot_sizes(request)
        qemu = qemu_version(request)
        version = self._version(request)
        cpu = x86_cpu(request, qemu)
        low = self._low_bytes(ram, limit)
        if low > IOAPIC:
            raise NotModelledError(
                f"boot RAM up to {low:#x} covers the interrupt controllers at {IOAPIC:#x}"
            )
        hole_size = self._hole64_size(request)
        ram_map = _above_4g(FOUR_GIB, ram - low, ceiling - ram, request.slots, hole_size)
        ram_map = replace(ram_map, low=low, cpu=cpu)
        if (
            cpu.vendor == AMD
            and version >= (7, 1)
            and (_max_used(ram_map, qemu, version) >= _HT.start)
        ):
            ram_map = _above_4g(_HT.end, ram - low, ceiling - ram, request.slots, hole_size)
            ram_map = replace(ram_map, low=low, cpu=cpu)
        used = _max_used(ram_map, qemu, version)
        last = (1 << cpu.phys_bits) - 1
        if last < used:
            raise MachineRefusedError(
                f"Address space limit {last:#x} < {used:#x} phys-bits too low ({cpu.phys_bits})",
                f"give -cpu phys-bits={used.bit_length()}, or lower memory, maxmem, slots or"
                " pci-hole64-size",
            )
        if request.slots > MAX_SLOTS and ram_map.device_memory:
            raise MachineRefusedError(
                f"unsupported amount of memory slots: {request.slots}",
                f"ask for at most {MAX_SLOTS} slots",
            )
        if ceiling % _PAGE and ram_map.device_memory:
            raise MachineRefusedError(
                f"maximum memory size must by aligned to multiple of {_PAGE} bytes",
                f"round maxmem to {align_up(ceiling, _PAGE):#x}",
            )
        return ram_map

    def _hole64_size(self, request: MachineRequest) -> int:
        key = self._family.hole64
        text = request.globals.get(key)
        return self._family.hole64_bytes if text is None else qemu_size(key, text)


def _split_limit(options: MachineOptions) -> int:
    """Return ``max-ram-below-4g`` in bytes, 0 when it is not set."""
    limit = options.size("max-ram-below-4g", 0)
    if limit > FOUR_GIB:
        raise MachineRefusedError(
            f"Machine option 'max-ram-below-4g={limit}' expects size less than or equal to 4G",
            "use at most 4G",
        )
    return limit


def _above_4g(start: int, above: int, room: int, slots: int, hole_size: int) -> _RamMap:
    """Lay out what follows the low part: RAM, device memory, the 64-bit PCI hole."""
    end = start + above
    device_memory = None
    if room:
        base = align_up(end, GIB)
        size = room + slots * GIB
        if base + size > ADDRESS_LIMIT:
            raise MachineRefusedError(f"unsupported amount of maximum memory: {room}")
        device_memory = Span.sized(base, size)
        end = device_memory.end
    hole_start = align_up(end, GIB)
    if not 0 < hole_size <= ADDRESS_LIMIT - hole_start:
        raise NotModelledError(f"a 64-bit PCI hole of {hole_size:#x} bytes")
    hole = Span.sized(hole_start, hole_size)
    return _RamMap(0, above, start, device_memory, hole, X86Cpu("", True, 0))


def _max_used(ram_map: _RamMap, qemu: QemuRelease, version: QemuRelease) -> int:
    """Return the highest address in use: ``pc_max_used_gpa()``.

    What it says of 32-bit CPUs changed in 8.2, and stays old for machine types up to 8.1.
    """
    cpu = ram_map.cpu
    hole_last = ram_map.hole64.last
    if qemu < (8, 2):
        return (1 << cpu.phys_bits) - 1 if cpu.phys_bits <= 32 else hole_last
    if cpu.long_mode:
        return hole_last
    if version <= (8, 1):
        return (1 << cpu.phys_bits) - 1
    if ram_map.device_memory:
        return ram_map.device_memory.last
    return ram_map.above_start + ram_map.above - 1


def _check_dimm(options: MachineOptions, device: MemoryDevice) -> None:
    if not options.auto("acpi", default=True):
        raise MachineRefusedError(
            "memory hotplug is not enabled: missing acpi device or acpi disabled",
            "leave acpi=off out",
        )
    nvdimm = options.flag("nvdimm", default=False)
    if not nvdimm and device.driver == "nvdimm":
        raise MachineRefusedError(
            "nvdimm is not enabled: missing 'nvdimm' in '-M'", "add nvdimm=on to -M"
        )


def _windows(ram_map: _RamMap, version: QemuRelease) -> Iterable[Window]:
    hole32 = Span(ram_map.low, IOAPIC) if ram_map.low < IOAPIC else None
    if hole32:
        where = cite("pc.c, PCI_HOST_PROP_PCI_HOLE_START of the host bridge")
        yield Window(hole32, "pci-mmio32", WindowKind.PCI_MMIO32, where)
    if ram_map.device_memory:
        where = cite("pc.c pc_get_device_memory_range()")
        yield Window(ram_map.device_memory, "device-memory", WindowKind.DEVICE_MEMORY, where)
    # Up to 2.10 the window is only as large as the BARs in it: pc_compat_2_10, x-pci-hole64-fix.
    if version > (2, 10):
        where = cite("pc.c pc_pci_hole64_start()")
        hole = Span(ram_map.hole64.start, align_up(ram_map.hole64.end, GIB))
        yield Window(hole, "pci-mmio64", WindowKind.PCI_MMIO64, where)
