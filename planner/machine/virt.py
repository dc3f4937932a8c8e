"""The Arm ``virt`` board.

Addresses from hw/arm/virt.c ``base_memmap[]`` and ``extended_memmap[]``, layout rules from
``virt_set_memmap()`` and ``virt_set_high_memmap()``, QEMU 7.2 and 10.0; 11.1 as its program shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from planner.machine.cpu import ArmCpu, arm_cpu
from planner.machine.device_memory import (
    MAX_SLOTS,
    place_devices,
    plugged_regions,
)
from planner.machine.flatview import Piece, flatten
from planner.machine.options import MachineOptions, check_globals
from planner.machine.ram import boot_pieces, boot_sizes
from planner.machine.request import (
    MachineRefusedError,
    MachineRequest,
    MemoryDevice,
    NotModelledError,
)
from planner.machine.versions import Version, machine_version, qemu_version
from planner.region import GuestMap, Kind, Origin, Region, Window, WindowKind
from planner.span import GIB, MIB, Span, SpanSet, align_up

__all__ = ["Virt"]

RAM_BASE = 1 * GIB
#: ``LEGACY_RAMLIMIT_BYTES``: high regions never start below RAM base + 255 GiB.
_HIGH_FLOOR = 256 * GIB
_DEFAULT_HIGH_MMIO = 512 * GIB
_OLDEST: Version = (2, 8)
_GICV2_MAX_CPUS = 8
#: ``VIRT_GIC_REDIST`` and ``VIRT_HIGH_GIC_REDIST2``; one CPU takes 128 KiB, 256 KiB with GICv4.
_REDIST = Span.sized(0x080A_0000, 0x00F6_0000)
_REDIST2_SIZE = 64 * MIB
_LOW_ECAM = Span.sized(0x3F00_0000, 16 * MIB)
_MMIO32 = Span.sized(0x1000_0000, 0x2EFF_0000)

_KNOWN = (
    "gic-version",
    "highmem",
    "highmem-ecam",
    "highmem-mmio",
    "highmem-redists",
    "highmem-mmio-size",
    "compact-highmem",
    "its",
    "msi",
    "iommu",
    "virtualization",
    "mte",
    "nvdimm",
    "secure",
    "acpi",
    "virtio-mmio-transports",
)
_NEUTRAL = (
    "accel",
    "append",
    "aux-ram-share",
    "boot",
    "default-bus-bypass-iommu",
    "dtb-kaslr-seed",
    "dtb-randomness",
    "dump-guest-core",
    "firmware",
    "graphics",
    "hmat",
    "initrd",
    "kernel",
    "kernel-irqchip",
    "kvm-type",
    "mem-merge",
    "memory-backend",
    "nvdimm-persistence",
    "pflash0",
    "pflash1",
    "ras",
    "smp",
    "smp-cache",
    "suppress-vmdesc",
    "usb",
    "x-oem-id",
    "x-oem-table-id",
)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the options and versions decide before any address is computed."""

    options: MachineOptions
    qemu: Version
    version: Version
    cpu: ArmCpu
    pa_bits: int
    tcg_its: bool
    #: Size of the high PCI window.
    mmio_size: int
    firmware: bool
    ged: bool
    #: 2, 3 or 4; settled after the memory map, as QEMU does.
    gic: int = 0


@dataclass(frozen=True, slots=True)
class _High:
    """The floating regions; None where one is switched off or does not fit."""

    redist2: Span | None
    ecam: Span | None
    mmio: Span | None


def _cite(row: str) -> Origin:
    return Origin(f"QEMU 7.2 hw/arm/virt.c {row}")


class Virt:
    """What QEMU makes of ``-M virt``."""

    def build(self, request: MachineRequest) -> GuestMap:
        """Return the map; see :class:`planner.machine.machine.Machine`."""
        plan = _plan(request)
        ram, ceiling = boot_sizes(request)
        if request.slots > MAX_SLOTS:
            raise MachineRefusedError(
                f"unsupported number of memory slots: {request.slots}",
                f"ask for at most {MAX_SLOTS} slots",
            )
        window_base = align_up(RAM_BASE + ram, GIB)
        window_size = ceiling - ram + request.slots * GIB
        top = window_base + align_up(window_size, GIB)
        _check_top(top, plan, request)
        plan = replace(plan, gic=_gic_version(request, plan.options, plan.qemu))
        high = _high_regions(max(top, _HIGH_FLOOR), plan)
        _check_cpus(request, plan, high)
        msi = _msi_controller(plan)
        window = Span.sized(window_base, window_size) if window_size else None
        devices = place_devices(
            request.devices, window, ceiling - ram, request.slots, partial(_check_dimm, plan)
        )
        pieces = [
            *_devices(request, plan, high, msi),
            *boot_pieces(request, "mach-virt.ram", [Span.sized(RAM_BASE, ram)]),
        ]
        pieces += (
            Piece(region.span, region.name, region.kind, region.origin)
            for region in plugged_regions(devices)
        )
        return GuestMap(
            source="model",
            machine="virt",
            qemu=request.qemu,
            regions=flatten(pieces),
            windows=tuple(_windows(window, high)),
            address_bits=plan.pa_bits,
        )

    def boot_ram(self, guest: GuestMap) -> tuple[str, ...]:
        """Return the names of the boot RAM regions in guest order."""
        regions: Iterable[Region] = guest.of_kind(Kind.RAM)
        return tuple(region.name for region in regions if region.origin.text.startswith("boot "))

    def variants(self, request: MachineRequest, forbidden: SpanSet) -> Iterable[MachineRequest]:
        """Yield the request; then without ``highmem=off``, which caps memory at 4 GiB.

        RAM's base is fixed at 1 GiB: nothing else on this board moves boot memory.
        """
        del forbidden  # No lever of this board depends on where the holes are.
        yield request
        if request.options.get("highmem") in {"off", "no", "false"}:
            options = {key: value for key, value in request.options.items() if key != "highmem"}
            yield replace(request, options=options)

    def default_block(self, request: MachineRequest) -> int:
        """Return 128 MiB: arm64's memory block with 4 KiB and 16 KiB pages.

        Linux arch/arm64/include/asm/sparsemem.h ``SECTION_SIZE_BITS``, 6.1; 64 KiB page kernels
        need 512 MiB, which a layout says with ``memory: block``.
        """
        del request
        return 128 * MIB


def _plan(request: MachineRequest) -> _Plan:
    qemu = qemu_version(request)
    version = machine_version(request, _OLDEST)
    options = MachineOptions(request.options, _KNOWN, _NEUTRAL)
    check_globals(request.globals, ())
    _check_options(options, qemu)
    if request.iommu:
        raise NotModelledError(f"-device {request.iommu} on virt is not in the machine tables")
    pa_bits, cpu = _address_bits(request, options, qemu)
    acpi = options.auto("acpi", default=True)
    return _Plan(
        options=options,
        qemu=qemu,
        version=version,
        cpu=cpu,
        pa_bits=pa_bits,
        # The TCG ITS came with virt-6.2 (no_tcg_its); virt-6.1 stays without, also when asked.
        tcg_its=version >= (6, 2),
        mmio_size=_high_mmio_size(options),
        firmware=request.firmware,
        # no_ged up to virt-4.1; machvirt_init().
        ged=version > (4, 1) and cpu.aarch64 and request.firmware and acpi,
    )


#: First QEMU with an option: the 7.2 and 10.0 sources, and what 11.1 lists.
_SINCE: dict[str, Version] = {
    "compact-highmem": (8, 0),
    "highmem-ecam": (8, 0),
    "highmem-mmio": (8, 0),
    "highmem-redists": (8, 0),
    "highmem-mmio-size": (10, 0),
    "msi": (11, 0),
    "virtio-mmio-transports": (11, 0),
}


def _check_options(options: MachineOptions, qemu: Version) -> None:
    for name, since in _SINCE.items():
        if name in options and qemu < since:
            raise MachineRefusedError(
                f"Property 'virt-machine.{name}' not found",
                f"QEMU {qemu[0]}.{qemu[1]} has no {name}; leave it out or use"
                f" QEMU {since[0]}.{since[1]}",
            )


def _high_mmio_size(options: MachineOptions) -> int:
    """Return ``highmem-mmio-size`` in bytes: ``virt_set_highmem_mmio_size()``, QEMU 10.0."""
    size = options.size("highmem-mmio-size", _DEFAULT_HIGH_MMIO)
    if not size or size & (size - 1):
        raise MachineRefusedError("highmem-mmio-size is not a power of 2", "use 512G, 1T, 2T, …")
    if size < _DEFAULT_HIGH_MMIO:
        raise MachineRefusedError(
            "highmem-mmio-size cannot be set to a lower value than the default (512 GiB)",
            "use 512G or more, or leave it out",
        )
    return size


def _address_bits(
    request: MachineRequest, options: MachineOptions, qemu: Version
) -> tuple[int, ArmCpu]:
    """Return the width ``virt_set_memmap()`` works with, and the CPU."""
    if request.accel == "kvm":
        if request.address_bits is None:
            raise NotModelledError(
                "under KVM the map is limited by the host's IPA size, which is not known here"
            )
        name = request.cpu.split(",")[0]
        cpu = ArmCpu(request.address_bits) if name == "host" else arm_cpu(request.cpu, qemu)
        bits = request.address_bits
    else:
        if request.cpu.split(",")[0] == "host":
            raise MachineRefusedError(
                "The 'host' CPU type can only be used with KVM or HVF",
                "add -accel kvm or choose another CPU",
            )
        cpu = arm_cpu(request.cpu, qemu)
        bits = cpu.pa_bits
        if request.address_bits is not None:
            bits = min(bits, request.address_bits)
    return (bits if options.flag("highmem", default=True) else 32), cpu


def _gic_version(request: MachineRequest, options: MachineOptions, qemu: Version) -> int:
    """Return 2, 3 or 4 as ``finalize_gic_version()`` decides with TCG."""
    text = options.text("gic-version")
    el2 = options.flag("virtualization", default=False)
    most = request.max_cpus or request.cpus
    if request.accel == "kvm" and text not in {"2", "3"}:
        raise NotModelledError("under KVM the GIC version is the host's; give gic-version=2 or 3")
    if text == "host":
        raise MachineRefusedError("gic-version=host requires KVM", "use gic-version=max")
    if text == "4" and not el2:
        words = (
            "gic-version=4 requires virtualization enabled"
            if qemu < (8, 0)
            else "tcg does not support GICv4 emulation, is virtualization=on?"
        )
        raise MachineRefusedError(words, "add virtualization=on or use gic-version=3")
    if text == "max":
        return 4 if el2 else 3
    if text in {"2", "3", "4"}:
        return int(text)
    if text:
        raise NotModelledError(f"gic-version={text} is not in the machine tables")
    return 2 if qemu < (8, 0) or most <= _GICV2_MAX_CPUS else 3


def _msi_controller(plan: _Plan) -> str:
    """Return ``gicv2m``, ``its`` or ``off``: ``create_gic()``, and ``msi=`` as 11.1 takes it."""
    options = plan.options
    asked = options.text("msi")
    if asked not in {"", "auto", "gicv2m", "its", "off"}:
        raise MachineRefusedError(
            f"Invalid msi value '{asked}'", "Valid values are auto, gicv2m, its, off."
        )
    its = options.flag("its", default=True)
    # With msi= QEMU 11.1 no longer looks at its=; alone, its=on there means msi=its.
    if not asked and plan.qemu >= (11, 0) and "its" in options and its:
        asked = "its"
    if asked == "its" and plan.gic == 2:
        raise MachineRefusedError(
            "GICv2 + ITS is an invalid configuration.", "use gic-version=3 or msi=gicv2m"
        )
    if asked in {"gicv2m", "off"}:
        return asked
    if plan.gic == 2:
        return "gicv2m"
    return "its" if plan.tcg_its and (asked or its) else "off"


def _check_top(top: int, plan: _Plan, request: MachineRequest) -> None:
    limit = 1 << plan.pa_bits
    if top <= limit:
        return
    why = f"memory, slots (1 GiB each) and rounding end at {top:#x}"
    if not plan.options.flag("highmem", default=True):
        help_text = f"{why}; highmem=off keeps everything below 4 GiB: leave it out"
    elif request.slots:
        help_text = f"{why}; lower maxmem or slots, or choose a CPU with more address bits"
    else:
        help_text = f"{why}; lower -m or choose a CPU with more address bits"
    raise MachineRefusedError(
        f"Addressing limited to {plan.pa_bits} bits, but memory exceeds it by {top - limit} bytes",
        help_text,
    )


def _high_regions(base: int, plan: _Plan) -> _High:
    """Place redistributors, ECAM and MMIO above memory, each on its own size."""
    options = plan.options
    # Compact layout: virt-7.2 and later on QEMU 8.0 and later; 7.2 itself has the old one only.
    compact = options.flag("compact-highmem", default=plan.version >= (7, 2))
    compact = compact and plan.qemu >= (8, 0)
    wanted = (
        (_REDIST2_SIZE, options.flag("highmem-redists", default=True)),
        (256 * MIB, options.flag("highmem-ecam", default=plan.version > (2, 12))),
        (plan.mmio_size, options.flag("highmem-mmio", default=True)),
    )
    placed: list[Span | None] = []
    for size, enabled in wanted:
        start = align_up(base, size)
        fits = start + size <= 1 << plan.pa_bits
        placed.append(Span.sized(start, size) if enabled and fits else None)
        if not compact or placed[-1]:
            base = start + size
    redist2, ecam, mmio = placed
    return _High(redist2, ecam, mmio)


def _redist_capacity(span: Span | None, gic: int) -> int:
    stride = 0x4_0000 if gic == 4 else 0x2_0000
    return span.size // stride if span else 0


def _check_cpus(request: MachineRequest, plan: _Plan, high: _High) -> None:
    asked = request.max_cpus or request.cpus
    if plan.gic == 2:
        most = _GICV2_MAX_CPUS
    else:
        # 7.2 counts the high redistributors whether they fit or not.
        second = Span(0, _REDIST2_SIZE) if plan.qemu < (8, 0) else high.redist2
        most = _redist_capacity(_REDIST, plan.gic) + _redist_capacity(second, plan.gic)
    most = min(most, 255 if plan.version <= (2, 12) else 512)
    if asked > most:
        raise MachineRefusedError(
            f"Number of SMP CPUs requested ({asked}) exceeds max CPUs supported by machine"
            f" 'mach-virt' ({most})",
            "ask for fewer CPUs" + (" or gic-version=3" if plan.gic == 2 else ""),
        )
    if plan.gic != 2 and request.cpus > _redist_capacity(_REDIST, plan.gic) and not high.redist2:
        raise NotModelledError("more CPUs than redistributors that fit")


def _check_dimm(plan: _Plan, device: MemoryDevice) -> None:
    if not plan.ged:
        raise MachineRefusedError(
            "memory hotplug is not enabled: missing acpi-ged device",
            "a DIMM needs ACPI: a 64-bit CPU and a firmware image (-bios or pflash);"
            " virtio-mem-pci works without",
        )
    if plan.options.flag("mte", default=False):
        raise MachineRefusedError(
            "memory hotplug is not enabled: MTE is enabled", "leave mte=on out"
        )
    nvdimm = plan.options.flag("nvdimm", default=False)
    if not nvdimm and device.driver == "nvdimm":
        raise MachineRefusedError(
            "nvdimm is not enabled: add 'nvdimm=on' to '-M'", "add nvdimm=on to -M"
        )


def _devices(request: MachineRequest, plan: _Plan, high: _High, msi: str) -> Iterable[Piece]:
    # With TrustZone the first flash is in the secure world's own view (virt_flash_map()).
    if not plan.options.flag("secure", default=False):
        yield _io(0x0000_0000, 64 * MIB, "virt.flash0", "base_memmap[VIRT_FLASH]", Kind.ROMD)
    yield _io(0x0400_0000, 64 * MIB, "virt.flash1", "base_memmap[VIRT_FLASH]", Kind.ROMD)
    yield from _gic(request, plan, high)
    yield from _doorbell(msi)
    yield _io(0x0900_0000, 0x1000, "pl011", "base_memmap[VIRT_UART]")
    yield _io(0x0901_0000, 0x1000, "pl031", "base_memmap[VIRT_RTC]")
    yield _io(0x0902_0000, 8, "fwcfg.data", "base_memmap[VIRT_FW_CFG]")
    yield _io(0x0902_0008, 2, "fwcfg.ctl", "base_memmap[VIRT_FW_CFG]")
    yield _io(0x0902_0010, 8, "fwcfg.dma", "base_memmap[VIRT_FW_CFG]")
    if plan.ged:
        yield _io(0x0908_0000, 4, "acpi-ged", "base_memmap[VIRT_ACPI_GED]")
        # create_acpi_ged() asks for the register block only where slots exist.
        if request.slots:
            yield _io(0x0907_0000, 0x18, "acpi-mem-hotplug", "base_memmap[VIRT_PCDIMM_ACPI]")
    else:
        yield _io(0x0903_0000, 0x1000, "pl061", "base_memmap[VIRT_GPIO]")
    if plan.options.text("iommu", "none") == "smmuv3":
        yield _io(0x0905_0000, 0x2_0000, "arm-smmuv3", "base_memmap[VIRT_SMMU]")
    elif plan.options.text("iommu", "none") != "none":
        raise MachineRefusedError("Invalid iommu value", "Valid values are none, smmuv3.")
    if plan.options.flag("nvdimm", default=False):
        yield _io(0x0909_0000, 4, "nvdimm-acpi-io", "base_memmap[VIRT_NVDIMM_ACPI]")
    transports = plan.options.text("virtio-mmio-transports", "32")
    if not transports.isdecimal() or int(transports) > 32:
        raise NotModelledError(f"virtio-mmio-transports={transports}")
    for index in range(int(transports)):
        yield _io(0x0A00_0000 + 0x200 * index, 0x200, "virtio-mmio", "base_memmap[VIRT_MMIO]")
    yield from _pcie(plan, high)


def _gic(request: MachineRequest, plan: _Plan, high: _High) -> Iterable[Piece]:
    """Yield the interrupt controller's registers: hw/intc/arm_gic*.c, QEMU 7.2."""
    if plan.gic == 2:
        yield _io(0x0800_0000, 0x1000, "gic_dist", "base_memmap[VIRT_GIC_DIST]")
        yield _io(0x0801_0000, 0x2000, "gic_cpu", "base_memmap[VIRT_GIC_CPU]")
        if plan.options.flag("virtualization", default=False):
            yield _io(0x0803_0000, 0x1000, "gic_viface", "base_memmap[VIRT_GIC_HYP]")
            yield _io(0x0804_0000, 0x2000, "gic_vcpu", "base_memmap[VIRT_GIC_VCPU]")
    else:
        yield _io(0x0800_0000, 0x1_0000, "gicv3_dist", "base_memmap[VIRT_GIC_DIST]")
        # GICv4's two more frames are there only with LPIs, which come with the TCG ITS
        # (hw/intc/arm_gicv3_common.c gicv3_redist_size()).
        stride = 0x4_0000 if plan.gic == 4 and plan.tcg_its else 0x2_0000
        first = min(request.cpus, _redist_capacity(_REDIST, plan.gic))
        row = "base_memmap[VIRT_GIC_REDIST]"
        yield _io(_REDIST.start, first * stride, "gicv3_redist_region[0]", row)
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


def _pcie(plan: _Plan, high: _High) -> Iterable[Piece]:
    # Up to virt-6.0 the windows answer nothing where no BAR is: hw/core/machine.c hw_compat_6_0,
    # gpex-pcihost allow-unmapped-accesses.
    filled = plan.version > (6, 0)
    if filled:
        yield _io(_MMIO32.start, _MMIO32.size, "gpex_mmio_window", "base_memmap[VIRT_PCIE_MMIO]")
        yield _io(0x3EFF_0000, 0x1_0000, "gpex_ioport_window", "base_memmap[VIRT_PCIE_PIO]")
    # A 32-bit guest's firmware cannot reach the high ECAM (machvirt_init()).
    high_ecam = high.ecam if plan.cpu.aarch64 or not plan.firmware else None
    ecam = high_ecam or _LOW_ECAM
    row = "extended_memmap[VIRT_HIGH_PCIE_ECAM]" if high_ecam else "base_memmap[VIRT_PCIE_ECAM]"
    yield _io(ecam.start, ecam.size, "pcie-mmcfg-mmio", row)
    if high.mmio and filled:
        row = "extended_memmap[VIRT_HIGH_PCIE_MMIO]"
        yield _io(high.mmio.start, high.mmio.size, "gpex_mmio_window", row)


def _io(base: int, size: int, name: str, row: str, kind: Kind = Kind.IO) -> Piece:
    return Piece(Span.sized(base, size), name, kind, _cite(row))


def _windows(device_memory: Span | None, high: _High) -> Iterable[Window]:
    row = _cite("base_memmap[VIRT_PCIE_MMIO]")
    yield Window(_MMIO32, "pci-mmio32", WindowKind.PCI_MMIO32, row)
    if device_memory:
        row = _cite("virt_set_memmap() device_memory_base")
        yield Window(device_memory, "device-memory", WindowKind.DEVICE_MEMORY, row)
    if high.mmio:
        row = _cite("extended_memmap[VIRT_HIGH_PCIE_MMIO]")
        yield Window(high.mmio, "pci-mmio64", WindowKind.PCI_MMIO64, row)
