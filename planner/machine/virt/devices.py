"""The devices of a ``virt`` board: what the tables of hw/arm/virt.c put where.

Addresses from ``base_memmap[]`` and ``extended_memmap[]``, QEMU 7.2; the same in 10.0 and 11.1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from planner.machine.flatview import Piece
from planner.machine.request import MachineRefusedError, MachineRequest, NotModelledError
from planner.machine.virt.settings import Settings
from planner.region import Kind, Origin, Window, WindowKind
from planner.span import MIB, Span

__all__ = ["REDIST", "REDIST2_SIZE", "High", "board_pieces", "board_windows", "redist_capacity"]

#: ``VIRT_GIC_REDIST`` and ``VIRT_HIGH_GIC_REDIST2``; one CPU takes 128 KiB, 256 KiB with GICv4.
REDIST = Span.sized(0x080A_0000, 0x00F6_0000)
REDIST2_SIZE = 64 * MIB
LOW_ECAM = Span.sized(0x3F00_0000, 16 * MIB)
MMIO32 = Span.sized(0x1000_0000, 0x2EFF_0000)


@dataclass(frozen=True, slots=True)
class High:
    """The floating regions; None where one is switched off or does not fit."""

    redist2: Span | None
    ecam: Span | None
    mmio: Span | None


def _cite(row: str) -> Origin:
    return Origin(f"QEMU 7.2 hw/arm/virt.c {row}")


def redist_capacity(span: Span | None, gic: int) -> int:
    """Return how many CPUs' redistributors fit: ``virt_redist_capacity()``."""
    stride = 0x4_0000 if gic == 4 else 0x2_0000
    return span.size // stride if span else 0


def board_pieces(
    request: MachineRequest, settings: Settings, high: High, msi: str
) -> Iterable[Piece]:
    """Yield every device of the board, in the order QEMU adds them.

    :param msi: the MSI controller, as :func:`~planner.machine.virt.settings.msi_controller` says.
    """
    # With TrustZone the first flash is in the secure world's own view (virt_flash_map()).
    if not settings.options.flag("secure", default=False):
        yield _io(0x0000_0000, 64 * MIB, "virt.flash0", "base_memmap[VIRT_FLASH]", Kind.ROMD)
    yield _io(0x0400_0000, 64 * MIB, "virt.flash1", "base_memmap[VIRT_FLASH]", Kind.ROMD)
    yield from _gic(request, settings, high)
    yield from _doorbell(msi)
    yield _io(0x0900_0000, 0x1000, "pl011", "base_memmap[VIRT_UART]")
    yield _io(0x0901_0000, 0x1000, "pl031", "base_memmap[VIRT_RTC]")
    yield _io(0x0902_0000, 8, "fwcfg.data", "base_memmap[VIRT_FW_CFG]")
    yield _io(0x0902_0008, 2, "fwcfg.ctl", "base_memmap[VIRT_FW_CFG]")
    yield _io(0x0902_0010, 8, "fwcfg.dma", "base_memmap[VIRT_FW_CFG]")
    if settings.ged:
        yield _io(0x0908_0000, 4, "acpi-ged", "base_memmap[VIRT_ACPI_GED]")
        # create_acpi_ged() asks for the register block only where slots exist.
        if request.slots:
            yield _io(0x0907_0000, 0x18, "acpi-mem-hotplug", "base_memmap[VIRT_PCDIMM_ACPI]")
    else:
        yield _io(0x0903_0000, 0x1000, "pl061", "base_memmap[VIRT_GPIO]")
    if settings.options.text("iommu", "none") == "smmuv3":
        yield _io(0x0905_0000, 0x2_0000, "arm-smmuv3", "base_memmap[VIRT_SMMU]")
    elif settings.options.text("iommu", "none") != "none":
        raise MachineRefusedError("Invalid iommu value", "Valid values are none, smmuv3.")
    if settings.options.flag("nvdimm", default=False):
        yield _io(0x0909_0000, 4, "nvdimm-acpi-io", "base_memmap[VIRT_NVDIMM_ACPI]")
    transports = settings.options.text("virtio-mmio-transports", "32")
    if not transports.isdecimal() or int(transports) > 32:
        raise NotModelledError(f"virtio-mmio-transports={transports}")
    for index in range(int(transports)):
        yield _io(0x0A00_0000 + 0x200 * index, 0x200, "virtio-mmio", "base_memmap[VIRT_MMIO]")
    yield from _pcie(settings, high)


def _gic(request: MachineRequest, settings: Settings, high: High) -> Iterable[Piece]:
    """Yield the interrupt controller's registers: hw/intc/arm_gic*.c, QEMU 7.2."""
    if settings.gic == 2:
        yield _io(0x0800_0000, 0x1000, "gic_dist", "base_memmap[VIRT_GIC_DIST]")
        yield _io(0x0801_0000, 0x2000, "gic_cpu", "base_memmap[VIRT_GIC_CPU]")
        if settings.options.flag("virtualization", default=False):
            yield _io(0x0803_0000, 0x1000, "gic_viface", "base_memmap[VIRT_GIC_HYP]")
            yield _io(0x0804_0000, 0x2000, "gic_vcpu", "base_memmap[VIRT_GIC_VCPU]")
    else:
        yield _io(0x0800_0000, 0x1_0000, "gicv3_dist", "base_memmap[VIRT_GIC_DIST]")
        # GICv4's two more frames are there only with LPIs, which come with the TCG ITS
        # (hw/intc/arm_gicv3_common.c gicv3_redist_size()).
        stride = 0x4_0000 if settings.gic == 4 and settings.tcg_its else 0x2_0000
        first = min(request.cpus, redist_capacity(REDIST, settings.gic))
        row = "base_memmap[VIRT_GIC_REDIST]"
        yield _io(REDIST.start, first * stride, "gicv3_redist_region[0]", row)
        rest = request.cpus - first
        if rest and high.redist2:
            row = "extended_memmap[VIRT_HIGH_GIC_REDIST2]"
            yield _io(high.redist2.start, rest * stride, "gicv3_redist_region[1]", row)


def _doorbell(msi: str) -> Iterable[Piece]:
    """Yield the MSI controller: hw/intc/arm_gicv2m.c, hw/intc/arm_gicv3_its_common.c, QEMU 7.2."""
    if msi == "gicv2m":
        row = "base_memmap[VIRT_GIC_V2M]"
        yield replace(_io(0x0802_0000, 0x1000, "gicv2m", row), doorbell=True)
    elif msi == "its":
        row = "base_memmap[VIRT_GIC_ITS]"
        yield _io(0x0808_0000, 0x1_0000, "control", row)
        yield replace(_io(0x0809_0000, 0x1_0000, "translation", row), doorbell=True)


def _pcie(settings: Settings, high: High) -> Iterable[Piece]:
    # Up to virt-6.0 the windows answer nothing where no BAR is: hw/core/machine.c hw_compat_6_0,
    # gpex-pcihost allow-unmapped-accesses.
    filled = settings.version > (6, 0)
    if filled:
        yield _io(MMIO32.start, MMIO32.size, "gpex_mmio_window", "base_memmap[VIRT_PCIE_MMIO]")
        yield _io(0x3EFF_0000, 0x1_0000, "gpex_ioport_window", "base_memmap[VIRT_PCIE_PIO]")
    # A 32-bit guest's firmware cannot reach the high ECAM (machvirt_init()).
    high_ecam = high.ecam if settings.cpu.aarch64 or not settings.firmware else None
    ecam = high_ecam or LOW_ECAM
    row = "extended_memmap[VIRT_HIGH_PCIE_ECAM]" if high_ecam else "base_memmap[VIRT_PCIE_ECAM]"
    yield _io(ecam.start, ecam.size, "pcie-mmcfg-mmio", row)
    if high.mmio and filled:
        row = "extended_memmap[VIRT_HIGH_PCIE_MMIO]"
        yield _io(high.mmio.start, high.mmio.size, "gpex_mmio_window", row)


def _io(base: int, size: int, name: str, row: str, kind: Kind = Kind.IO) -> Piece:
    return Piece(Span.sized(base, size), name, kind, _cite(row))


def board_windows(device_memory: Span | None, high: High) -> Iterable[Window]:
    """Yield what memory and BARs may be put into."""
    row = _cite("base_memmap[VIRT_PCIE_MMIO]")
    yield Window(MMIO32, "pci-mmio32", WindowKind.PCI_MMIO32, row)
    if device_memory:
        row = _cite("virt_set_memmap() device_memory_base")
        yield Window(device_memory, "device-memory", WindowKind.DEVICE_MEMORY, row)
    if high.mmio:
        row = _cite("extended_memmap[VIRT_HIGH_PCIE_MMIO]")
        yield Window(high.mmio, "pci-mmio64", WindowKind.PCI_MMIO64, row)
