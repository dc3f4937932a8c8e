"""What a guest's kernel makes of the memory it is given: drivers, memory blocks, tables. Pure.

QEMU and VFIO call a plan fulfilled when memory is plugged; whether anybody uses it is up to the
guest. Rules of Linux; sizes in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from planner.machine.device_memory import VIRTIO_MEM
from planner.region import GuestMap, Kind, Region, WindowKind
from planner.span import GIB, MIB, TIB, Span, SpanSet, align_up

__all__ = [
    "BASE",
    "KERNEL_MIN",
    "ONLINE",
    "UNKNOWN",
    "Guest",
    "Onlines",
    "Pieces",
    "boot_min",
    "boot_spans",
    "memory_block",
    "piece_regions",
    "tables",
]

#: What brings plugged memory online as it appears: mm/memory_hotplug.c
#: ``early_param("memhp_default_state")``, Linux 5.7 on, for DIMMs and virtio-mem alike.
ONLINE = "memhp_default_state=online"


class Onlines(StrEnum):
    """Who brings plugged memory online."""

    ITSELF = "itself"
    UDEV = "udev"
    PARAMETER = "parameter"
    AGENT = "agent"
    NOBODY = "no"


class Pieces(StrEnum):
    """The form pieces of memory are to have."""

    AUTO = "auto"
    DIMM = "dimm"
    VIRTIO_MEM = "virtio-mem"
    NONE = "none"


_DRIVERS = {Pieces.DIMM: "pc-dimm", Pieces.VIRTIO_MEM: VIRTIO_MEM, Pieces.NONE: ""}


@dataclass(frozen=True, slots=True)
class Guest:
    """A guest's kernel, as far as it is known; None is unknown."""

    preset: str = ""
    #: CONFIG_ACPI_HOTPLUG_MEMORY: without it a pc-dimm is memory for nobody.
    acpi_hotplug: bool | None = None
    #: CONFIG_VIRTIO_MEM, mostly a module.
    virtio_mem: bool | None = None
    page_bytes: int | None = None
    onlines: Onlines | None = None
    #: From which release on the above holds, where not every one is so.
    since: str = ""

    def takes(self, driver: str) -> bool | None:
        """Say whether it has what a memory device of QEMU's driver needs; None: unknown."""
        return self.virtio_mem if driver == VIRTIO_MEM else self.acpi_hotplug

    def piece_driver(self, pieces: Pieces, order: tuple[str, ...]) -> str:
        """Return the driver that pieces of memory get; empty where it takes none.

        :param order: the drivers of the machine family, the better one first.
        """
        if pieces is not Pieces.AUTO:
            return _DRIVERS[pieces]
        return next(
            (d for answer in (True, None) for d in order if self.takes(d) is answer),
            "",
        )

    @property
    def parameter(self) -> str:
        """What its kernel's command line needs so that plugged memory is used; empty for none."""
        alone = (Onlines.ITSELF, Onlines.UDEV, Onlines.AGENT)
        return "" if self.onlines in alone else ONLINE


#: A guest nobody has said anything of.
UNKNOWN = Guest()


def boot_spans(guest: GuestMap) -> SpanSet:
    """Return boot memory: RAM outside of device memory and of what BARs are placed in."""
    plugged = (WindowKind.DEVICE_MEMORY, WindowKind.PCI_MMIO32, WindowKind.PCI_MMIO64)
    if any(region.boot for region in guest.regions):
        return SpanSet(region.span for region in guest.boot_ram)
    return guest.ram() - SpanSet(w.span for w in guest.windows if w.kind in plugged)


def piece_regions(guest: GuestMap) -> tuple[Region, ...]:
    """Return the RAM in device memory."""
    window = guest.window(WindowKind.DEVICE_MEMORY)
    return tuple(
        region for region in guest.of_kind(Kind.RAM) if window and window.span.contains(region.span)
    )


def memory_block(guest: GuestMap, page_bytes: int | None = None) -> int:
    """Return the memory block of a Linux guest: only whole, aligned ones come online.

    mm/memory_hotplug.c ``check_hotplug_memory_range()``, 6.1. arm64: ``SECTION_SIZE_BITS`` in
    arch/arm64/include/asm/sparsemem.h, 128 MiB, 512 MiB with pages of 64 KiB. x86:
    arch/x86/mm/init_64.c ``probe_memory_block_size()``, 128 MiB while boot memory ends below
    64 GiB, else the largest of 128 MiB to 2 GiB that its end is aligned to.
    """
    if guest.target not in {"x86_64", "i386"}:
        return 512 * MIB if page_bytes == 64 << 10 else 128 * MIB
    # Boot memory above 4 GiB starts there or, beside AMD's hole, at 1 TiB (hw/i386/pc.c
    # pc_memory_init(), QEMU 7.2). A BAR that is RAM may lie higher and is no boot memory.
    starts = (Span.sized(4 * GIB, 1), Span.sized(TIB, 1))
    ends = [s.end for s in boot_spans(guest) if s.start == 0 or any(map(s.contains, starts))]
    end = max(ends, default=0)
    if end < 64 * GIB:
        return 128 * MIB
    return next((s * MIB for s in (2048, 1024, 512, 256) if not end % (s * MIB)), 128 * MIB)


#: What firmware, kernel and a first program want beside the tables. Measured: Linux 6.12 with
#: 512 MiB boots with a DIMM of 16 GiB, and panics with one of 32 GiB (docs/reference/guests.md).
BASE = 256 * MIB
#: The kernel alone: Debian's 6.12 boots with 96 MiB and resets with 64 MiB.
KERNEL_MIN = 96 * MIB
#: AAVMF 2022.11 starts a kernel with 240 MiB and hangs with 224 MiB.
AAVMF_MIN = 240 * MIB
#: OVMF with secure boot (smm=on), 2026.08: 128 MiB below 4 GiB, resets with 96 MiB.
SECURE_BOOT_MIN = 128 * MIB
#: The kernel describes each page of 4 KiB in 64 bytes: ``struct page``, include/linux/mm_types.h.
_TABLES = 64


def tables(pieces_bytes: int) -> int:
    """Return what the guest takes of boot memory to describe its pieces."""
    return -(-pieces_bytes // _TABLES)


def boot_min(total_bytes: int) -> int:
    """Return the least boot memory of a guest whose other memory is pieces; at most all of it."""
    # From boot = base + (total - boot) / 64.
    least = -(-(_TABLES * BASE + total_bytes) // (_TABLES + 1))
    return min(align_up(least, MIB), total_bytes)
