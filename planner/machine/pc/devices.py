"""ROMs, flash and interrupt controllers of the PC boards: hw/i386, QEMU 7.2."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from planner.machine.flatview import Piece
from planner.machine.options import MachineOptions
from planner.machine.pc.cpu import X86Cpu
from planner.machine.request import MachineRefusedError, MachineRequest, NotModelledError
from planner.machine.versions import QemuRelease
from planner.region import Kind, Origin
from planner.span import GIB, KIB, MIB, Span

__all__ = ["FOUR_GIB", "IOAPIC", "IOMMU_REGISTERS", "board_devices", "cite", "firmware_pieces"]

FOUR_GIB = 4 * GIB
#: ``IO_APIC_DEFAULT_ADDRESS``, include/hw/i386/apic.h: where the 32-bit PCI hole ends.
IOAPIC = 0xFEC0_0000
#: ``bios-256k.bin``, the firmware of every modelled machine version.
_DEFAULT_BIOS = 256 * KIB
#: ``pcms->max_fw_size``, hw/i386/pc_sysfw.c: how much pflash may hold.
_MAX_FLASH = 8 * MIB
_PAGE = 4 * KIB


def cite(where: str) -> Origin:
    """Return the origin of a row: a file below hw/i386 and the symbol in it."""
    return Origin(f"QEMU 7.2 hw/i386/{where}")


def board_devices(request: MachineRequest, options: MachineOptions, cpu: X86Cpu) -> Iterable[Piece]:
    """Yield registers that are in the map before the guest starts."""
    ioapic = Span.sized(IOAPIC, 0x1000)
    yield Piece(ioapic, "ioapic", Kind.IO, cite("pc.c IO_APIC_DEFAULT_ADDRESS"))
    if options.flag("hpet", default=True):
        hpet = Span.sized(0xFED0_0000, 0x400)
        yield Piece(hpet, "hpet", Kind.IO, cite("pc.c HPET_BASE"))
    if cpu.apic or request.cpus > 1:
        # target/i386/cpu.c x86_cpu_realizefn(): no APIC for a lone CPU that has none.
        lapic = Span.sized(0xFEE0_0000, MIB)
        where = cite("x86.c APIC_DEFAULT_ADDRESS")
        yield Piece(lapic, "apic-msi", Kind.IO, where, priority=4096, doorbell=True)
    if request.iommu == "amd-iommu" and not (cpu.apic or request.cpus > 1):
        raise MachineRefusedError(
            "MSI is not supported by interrupt controller", "choose a CPU with a local APIC"
        )
    if request.iommu in IOMMU_REGISTERS:
        base, size, name, row = IOMMU_REGISTERS[request.iommu]
        yield Piece(Span.sized(base, size), name, Kind.IO, cite(row))


#: Registers of IOMMU devices: hw/i386/intel_iommu.c ``Q35_HOST_BRIDGE_IOMMU_ADDR`` and
#: hw/i386/amd_iommu.c ``AMDVI_BASE_ADDR``; the same in 7.2, 10.0 and 11.1.
IOMMU_REGISTERS: Mapping[str, tuple[int, int, str, str]] = {
    "intel-iommu": (0xFED9_0000, 0x230, "intel_iommu", "intel_iommu.c vtd_realize()"),
    "amd-iommu": (0xFED8_0000, 0x4000, "amdvi-mmio", "amd_iommu.c amdvi_sysbus_realize()"),
}


def firmware_pieces(request: MachineRequest, version: QemuRelease) -> Iterable[Piece]:
    """Yield ROMs: hw/i386/pc_sysfw.c, hw/i386/x86.c ``x86_bios_rom_init()``, QEMU 7.2.

    They sit in PCI memory, below RAM in priority; PAM aliases lift the last MiB's part above it.
    """
    rom = cite("pc.c PC_ROM_MIN_VGA")
    yield Piece(Span(0xC_0000, 0xE_0000), "pc.rom", Kind.ROM, rom, priority=2)
    if request.flash_bytes:
        yield from _flash(request.flash_bytes, version)
        return
    size = _DEFAULT_BIOS
    if request.firmware:
        if request.firmware_bytes is None:
            raise NotModelledError("the size of the -bios image decides the map and is not known")
        size = request.firmware_bytes
        if not 0 < size <= _MAX_FLASH * 2 or size % (64 * KIB):
            raise MachineRefusedError(
                "could not load PC BIOS: its size is not a multiple of 64 KiB",
                "give -bios an image for this machine",
            )
    origin = cite("x86.c x86_bios_rom_init()")
    yield Piece(Span(FOUR_GIB - size, FOUR_GIB), "pc.bios", Kind.ROM, origin, priority=-1)
    isa = min(size, 128 * KIB)
    yield Piece(Span(MIB - isa, MIB), "pc.bios", Kind.ROM, origin, priority=1)


def _flash(sizes: tuple[int | None, ...], version: QemuRelease) -> Iterable[Piece]:
    origin = cite("pc_sysfw.c pc_system_flash_map()")
    top = FOUR_GIB
    for unit, size in enumerate(sizes):
        if size is None:
            raise NotModelledError("the size of a pflash image decides the map and is not known")
        if size <= 0 or size % _PAGE or FOUR_GIB - top + size > _MAX_FLASH:
            raise MachineRefusedError(
                f"system firmware block device pflash{unit} has an invalid size of {size} bytes",
                "its size must be a non-zero multiple of 0x1000, all together at most 8 MiB",
            )
        top -= size
        name = f"system.flash{unit}"
        yield Piece(Span.sized(top, size), name, Kind.ROMD, origin, priority=-1)
    first = sizes[0] or 0
    isa = min(first, 128 * KIB)
    # A copy up to machine version 9.0, an alias of the flash itself since (isa_bios_alias).
    name = "isa-bios" if version <= (9, 0) else "system.flash0"
    yield Piece(Span(MIB - isa, MIB), name, Kind.ROM, origin, priority=1)
