"""What a machine is asked for, and how it says no. Pure data; sizes in bytes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = [
    "Backend",
    "MachineRefusedError",
    "MachineRequest",
    "MemoryDevice",
    "NotModelledError",
    "accel_of",
]

#: ``QEMU_VMALLOC_ALIGN`` of x86-64 and aarch64 hosts (include/qemu/osdep.h, QEMU 7.2): the
#: alignment of memory-backend-ram, which its size must be a multiple of, too.
RAM_BACKEND_ALIGN = 2 << 20


class MachineRefusedError(Exception):
    """QEMU would refuse to start this machine; the message is what QEMU would say, or nearly."""

    def __init__(self, message: str, help_text: str = "") -> None:
        super().__init__(message)
        self.message = message
        #: What to change.
        self.help = help_text


class NotModelledError(Exception):
    """The tables do not know this machine, version or option; a probe of the real QEMU does."""


@dataclass(frozen=True, slots=True)
class MemoryDevice:
    """A DIMM or virtio-mem device in device memory."""

    #: QEMU's device id; empty when the user gave none.
    id: str
    size: int
    #: None: QEMU places it (an address of 0 means the same to QEMU).
    addr: int | None = None
    #: QEMU's driver name.
    driver: str = "pc-dimm"
    #: Alignment of the backend in bytes: 2 MiB for memory-backend-ram, the page size for files.
    align: int = RAM_BACKEND_ALIGN
    #: Id of the memory backend; empty means that the device's own id serves.
    memdev: str = ""
    #: Slot as asked; None lets QEMU choose the lowest free one.
    slot: int | None = None
    #: virtio-mem's block-size; None takes QEMU's default, 2 MiB or the backend's page size.
    block_size: int | None = None
    #: Guest NUMA node.
    node: int = 0

    @property
    def region(self) -> str:
        """Name of its region in a guest map: the device's id, or the backend's without one."""
        return self.id or self.memdev


@dataclass(frozen=True, slots=True)
class Backend:
    """A memory backend that guest memory is made of; sizes in bytes."""

    id: str
    size: int
    #: None when it depends on a file that is not known.
    align: int | None = RAM_BACKEND_ALIGN
    #: The file whose bytes it shares with whoever maps them too; empty for memory of its own.
    shared_file: str = ""
    #: Where in that file it begins.
    offset: int = 0


@dataclass(frozen=True, slots=True)
class MachineRequest:
    """Everything on a QEMU command line that moves the memory map."""

    #: Family: ``virt``, ``q35`` or ``pc``.
    type: str
    #: Version of the machine type, ``7.2``; empty means the newest that :attr:`qemu` has.
    version: str
    #: ``-cpu`` text, empty for the default.
    cpu: str
    #: ``-m`` size: boot memory.
    boot_bytes: int
    #: ``maxmem``; 0 when not given. No device memory when it equals boot_bytes.
    max_bytes: int = 0
    slots: int = 0
    #: ``-M`` options other than the type.
    options: Mapping[str, str] = field(default_factory=dict)
    #: ``-global driver.property=value``.
    globals: Mapping[str, str] = field(default_factory=dict)
    #: Limit from outside QEMU's CPU model (KVM IPA size); None takes the CPU's own.
    address_bits: int | None = None
    devices: tuple[MemoryDevice, ...] = ()
    #: Whether a firmware image is given (virt: decides whether ACPI and so the GED exist).
    firmware: bool = False
    #: Size of the ``-bios`` image, where it is known and matters (x86).
    firmware_bytes: int | None = None
    #: Sizes of pflash units 0 and 1, None for a unit without a known image (x86).
    flash_bytes: tuple[int | None, ...] = ()
    #: Version of the QEMU program, ``7.2.22``; empty means the one the machine version came with.
    qemu: str = ""
    #: ``tcg`` or ``kvm``.
    accel: str = "tcg"
    #: ``-smp``: CPUs present, and the most there may be (0: the same).
    cpus: int = 1
    max_cpus: int = 0
    #: IOMMU device: ``intel-iommu``, ``amd-iommu`` or ``virtio-iommu-pci``.
    iommu: str = ""
    #: Backends boot RAM is made of, in guest order; empty means QEMU's own.
    boot_backends: tuple[Backend, ...] = ()

    @property
    def ceiling(self) -> int:
        """``maxmem`` as QEMU takes it: at least the boot memory."""
        return max(self.max_bytes, self.boot_bytes)


def accel_of(cpu: str) -> str:
    """Return the accelerator that a ``-cpu`` text needs, where nothing else says one.

    target/i386/host-cpu.c ``host_cpu_realizefn()``, QEMU 7.2: the model ``host`` is KVM's or HVF's.
    """
    return "kvm" if cpu.split(",", maxsplit=1)[0] == "host" else "tcg"
