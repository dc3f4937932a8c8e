"""What options, versions and CPU of a ``virt`` board decide, before any address is computed.

Rules of hw/arm/virt.c, QEMU 7.2 and 10.0; 11.1 as its program shows.
"""

from __future__ import annotations

from dataclasses import dataclass

from planner.machine.family import Family
from planner.machine.options import MachineOptions, check_globals
from planner.machine.request import MachineRefusedError, MachineRequest, NotModelledError
from planner.machine.versions import QemuRelease, machine_version, qemu_version, show_release
from planner.machine.virt.cpu import ArmCpu, arm_cpu
from planner.span import GIB

__all__ = ["GICV2_MAX_CPUS", "Settings", "gic_version", "msi_controller", "settle"]

_DEFAULT_HIGH_MMIO = 512 * GIB
GICV2_MAX_CPUS = 8


@dataclass(frozen=True, slots=True)
class Settings:
    """What the options and versions decide before any address is computed."""

    options: MachineOptions
    qemu: QemuRelease
    version: QemuRelease
    cpu: ArmCpu
    pa_bits: int
    tcg_its: bool
    #: Size of the high PCI window.
    mmio_size: int
    firmware: bool
    ged: bool
    #: 2, 3 or 4; settled after the memory map, as QEMU does.
    gic: int = 0


def settle(family: Family, request: MachineRequest) -> Settings:
    """Decide everything but the GIC version, which QEMU settles after the memory map.

    :raise MachineRefusedError: QEMU would refuse an option.
    :raise NotModelledError: the tables do not know one.
    """
    qemu = qemu_version(request)
    version = machine_version(request, family.oldest)
    machine_type = family.machine_type(show_release(version))
    options = MachineOptions(request.options, family.options, qemu, machine_type)
    check_globals(request.globals, family.globals)
    if request.iommu not in {"", "virtio-iommu-pci"}:
        raise NotModelledError(f"-device {request.iommu} on virt is not in the machine tables")
    pa_bits, cpu = _address_bits(request, options, qemu)
    acpi = options.auto("acpi", default=True)
    return Settings(
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
    request: MachineRequest, options: MachineOptions, qemu: QemuRelease
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


def gic_version(request: MachineRequest, options: MachineOptions, qemu: QemuRelease) -> int:
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
    return 2 if qemu < (8, 0) or most <= GICV2_MAX_CPUS else 3


def msi_controller(settings: Settings) -> str:
    """Return ``gicv2m``, ``its`` or ``off``: ``create_gic()``, and ``msi=`` as 11.1 takes it."""
    options = settings.options
    asked = options.text("msi")
    if asked not in {"", "auto", "gicv2m", "its", "off"}:
        raise MachineRefusedError(
            f"Invalid msi value '{asked}'", "Valid values are auto, gicv2m, its, off."
        )
    its = options.flag("its", default=True)
    # With msi= QEMU 11.1 no longer looks at its=; alone, its=on there means msi=its.
    if not asked and settings.qemu >= (11, 0) and "its" in options and its:
        asked = "its"
    if asked == "its" and settings.gic == 2:
        raise MachineRefusedError(
            "GICv2 + ITS is an invalid configuration.", "use gic-version=3 or msi=gicv2m"
        )
    if asked in {"gicv2m", "off"}:
        return asked
    if settings.gic == 2:
        return "gicv2m"
    return "its" if settings.tcg_its and (asked or its) else "off"
