"""The host kinds: machines QEMU can play whose IOMMU code is the real kernel's.

Every host has the same devices behind root ports, so that captures and verdicts compare:

========  =============================  =======================================
slot      device                         group
========  =============================  =======================================
port 1    e1000e                         alone
port 2    two functions without ACS      two devices
port 3    e1000e                         alone; ``direct`` where tables are replaced
port 4    xHCI                           alone; ``direct-relaxable`` where they are
port 5    PCIe-to-PCI bridge, e1000      bridge and device
1f.*      LPC bridge, SATA, SMBus (q35)  the ISA bridge's group
========  =============================  =======================================

The virtio-iommu hosts have nothing in port 5: Linux cannot probe a device behind a conventional
bridge there (-EINVAL), and 7.2 then gives up the whole IOMMU.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from labkit.acpi import DIRECT, RELAXABLE
from planner.span import Span, SpanSet

__all__ = ["HOSTS", "Host", "hosts_named"]

_DEVICES = (
    *("-device", "pcie-root-port,id=rp1,bus=pcie.0,addr=2,chassis=1"),
    *("-device", "pcie-root-port,id=rp2,bus=pcie.0,addr=3,chassis=2"),
    *("-device", "pcie-root-port,id=rp3,bus=pcie.0,addr=4,chassis=3"),
    *("-device", "pcie-root-port,id=rp4,bus=pcie.0,addr=5,chassis=4"),
    *("-device", "pcie-root-port,id=rp5,bus=pcie.0,addr=6,chassis=5"),
    *("-device", "e1000e,bus=rp1,romfile="),
    *("-device", "e1000e,bus=rp2,addr=0.0,multifunction=on,romfile="),
    *("-device", "e1000e,bus=rp2,addr=0.1,romfile="),
    *("-device", "e1000e,bus=rp3,romfile="),
    *("-device", "qemu-xhci,bus=rp4"),
)
_BRIDGED = (
    *("-device", "pcie-pci-bridge,id=pb,bus=rp5"),
    *("-device", "e1000,bus=pb,addr=1,romfile="),
)

#: Inserted before the devices are looked at.
_BASE_MODULES = ("virtio_pci", "virtio_console")
VFIO_MODULES = ("irqbypass", "vfio_iommu_type1", "vfio_virqfd", "vfio_pci")

X86_MSI = Span.inclusive(0xFEE0_0000, 0xFEEF_FFFF)
ARM_MSI = Span.inclusive(0x0800_0000, 0x080F_FFFF)
#: The ITS page that QEMU's virtio-iommu reserves on virt.
ITS = Span.inclusive(0x0809_0000, 0x0809_FFFF)
ISA = Span.inclusive(0, 0xFF_FFFF)
AMD_HT = Span.inclusive(0xFD_0000_0000, 0xFF_FFFF_FFFF)


@dataclass(frozen=True, slots=True)
class Host:
    """A host kind."""

    name: str
    #: Debian's name of the architecture.
    architecture: str
    machine: tuple[str, ...]
    #: What it is, in one line.
    about: str
    command_line: str = ""
    modules: tuple[str, ...] = _BASE_MODULES
    #: Lab names of the kernels that have what the host needs.
    kernels: tuple[str, ...] = ("6.1", "6.12", "7")
    #: The host whose ACPI tables are extended, then the names of those tables.
    replaced: tuple[str, ...] | None = None
    #: Whether UEFI firmware runs first (Arm has ACPI tables only then).
    firmware: bool = False
    devices: tuple[str, ...] = field(default=(*_DEVICES, *_BRIDGED))

    #: Address bits by kernel, where sysfs does not tell them: what ``--address-bits`` is given.
    told_bits: Mapping[str, int] = field(default_factory=dict, hash=False)

    def has(self, device: str) -> bool:
        """Say whether the host has the PCI device."""
        if device.startswith("0000:00:1f"):
            return self.architecture == "amd64"
        return device != "0000:06:01.0" or any("pcie-pci-bridge" in part for part in self.devices)

    @property
    def edges(self) -> SpanSet:
        """What the host's kernel may forbid or relax: places worth asking about."""
        doorbell = X86_MSI if self.architecture == "amd64" else ARM_MSI
        replaced = (DIRECT, RELAXABLE) if self.replaced else ()
        return SpanSet([doorbell, ITS, ISA, AMD_HT, *(Span.sized(*pair) for pair in replaced)])

    @property
    def qemu(self) -> str:
        """The QEMU program."""
        return "qemu-system-x86_64" if self.architecture == "amd64" else "qemu-system-aarch64"

    @property
    def arguments(self) -> tuple[str, ...]:
        """QEMU's arguments for machine and devices."""
        return (*self.machine, *self.devices)


_Q35 = ("-M", "q35,kernel-irqchip=split", "-cpu", "max")
_VIRT = ("-M", "virt,gic-version=3,iommu=smmuv3", "-cpu", "max,pauth-impdef=on")
_VIOMMU = (*_BASE_MODULES, "virtio_iommu")
_INTEL = "intel_iommu=on"
#: Kernels of x86 hosts. iommufd is built for those only, and asked of VT-d: with AMD-Vi and
#: virtio-iommu Linux 6.12 at times crashes in it while unmapping.
_X86 = ("6.1", "6.12", "6.12-iommufd", "7")
_SMMU_BITS = {"6.1": 48, "6.12": 48, "7": 48}

HOSTS = {
    host.name: host
    for host in (
        Host(
            "amd",
            "amd64",
            (*_Q35, "-device", "amd-iommu"),
            "AMD-Vi",
            told_bits={"7": 48},
        ),
        Host(
            "intel-39",
            "amd64",
            (*_Q35, "-device", "intel-iommu,intremap=on,aw-bits=39"),
            "VT-d, 39 address bits",
            _INTEL,
            kernels=_X86,
        ),
        Host(
            "intel-48",
            "amd64",
            (*_Q35, "-device", "intel-iommu,intremap=on,aw-bits=48"),
            "VT-d, 48 address bits",
            _INTEL,
            kernels=_X86,
        ),
        Host("smmuv3", "arm64", _VIRT, "SMMUv3, GICv3 with ITS, devicetree", told_bits=_SMMU_BITS),
        Host(
            "virtio-x86",
            "amd64",
            (*_Q35, "-device", "virtio-iommu-pci,bus=pcie.0,addr=1"),
            "virtio-iommu on q35",
            modules=_VIOMMU,
            kernels=("6.12", "7"),
            devices=_DEVICES,
        ),
        Host(
            "virtio-arm",
            "arm64",
            (
                *("-M", "virt,gic-version=3", "-cpu", "max,pauth-impdef=on"),
                *("-device", "virtio-iommu-pci,bus=pcie.0,addr=1"),
            ),
            "virtio-iommu on virt",
            modules=_VIOMMU,
            kernels=("6.12", "7"),
            devices=_DEVICES,
        ),
        Host(
            "amd-ivmd",
            "amd64",
            (*_Q35, "-device", "amd-iommu"),
            "AMD-Vi, an IVRS with IVMD structures",
            replaced=("amd", "IVRS"),
            told_bits={"7": 48},
        ),
        Host(
            "intel-rmrr",
            "amd64",
            (*_Q35, "-device", "intel-iommu,intremap=on,aw-bits=48"),
            "VT-d, a DMAR with RMRR structures",
            _INTEL,
            kernels=_X86,
            replaced=("intel-48", "DMAR"),
        ),
        Host(
            "smmuv3-acpi",
            "arm64",
            _VIRT,
            "SMMUv3 under UEFI, ACPI",
            "acpi=force",
            firmware=True,
            told_bits=_SMMU_BITS,
        ),
        Host(
            "smmuv3-rmr",
            "arm64",
            _VIRT,
            "SMMUv3 under UEFI, an IORT with RMR nodes",
            "acpi=force",
            replaced=("smmuv3-acpi", "IORT", "DSDT"),
            firmware=True,
            told_bits=_SMMU_BITS,
        ),
    )
}


def hosts_named(names: tuple[str, ...]) -> list[Host]:
    """Return the hosts of these names, all when none is given.

    :raise KeyError: a name is not known.
    """
    return [HOSTS[name] for name in names] if names else list(HOSTS.values())
