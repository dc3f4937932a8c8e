"""Named address ranges and where they come from: the words every other module speaks.

A :class:`Region` is a range somebody occupies or forbids. A :class:`Window` is a range something
may later be put into (device memory, a PCI window). Ranges are :class:`~planner.span.Span`,
half-open inside the program.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from planner.span import Span, SpanSet

__all__ = [
    "GuestMap",
    "Kind",
    "Loc",
    "Origin",
    "Region",
    "Window",
    "WindowKind",
]


class Kind(StrEnum):
    """What answers at a guest address, in the words of QEMU's ``info mtree -f``."""

    RAM = "ram"
    ROM = "rom"
    ROMD = "romd"
    NVRAM = "nvram"
    RAMD = "ramd"
    IO = "io"

    @property
    def dma(self) -> bool:
        """Whether VFIO maps it for assigned devices.

        QEMU hw/vfio/common.c ``vfio_listener_skipped_section()`` and system/memory.c
        ``memory_access_is_direct()``: sections backed by host memory are mapped, also ROM and
        the BARs of assigned devices (``ramd``); ``romd`` and ``io`` never are.
        """
        return self in (Kind.RAM, Kind.ROM, Kind.NVRAM, Kind.RAMD)

    @property
    def must_map(self) -> bool:
        """Whether QEMU ends or refuses the device when VFIO cannot map it (``ramd`` only warns)."""
        return self in (Kind.RAM, Kind.ROM, Kind.NVRAM)


class WindowKind(StrEnum):
    """What may be put into a window."""

    DEVICE_MEMORY = "device-memory"
    PCI_MMIO32 = "pci-mmio32"
    PCI_MMIO64 = "pci-mmio64"
    RAM_WINDOW = "ram-window"


@dataclass(frozen=True, slots=True, order=True)
class Loc:
    """A place in a text file: line and column count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where a region comes from, fit to be shown.

    *text* says it in words: ``QEMU 7.2 hw/arm/virt.c base_memmap[VIRT_GIC_DIST]``,
    ``kernel/iommu_groups/28/reserved_regions line 1``, ``info mtree -f``. *loc* is set when the
    region was written in a file the user can edit.
    """

    text: str
    loc: Loc | None = None

    def __str__(self) -> str:
        return f"{self.text} ({self.loc})" if self.loc else self.text


@dataclass(frozen=True, slots=True, order=True)
class Region:
    """A named range that a guest's map occupies.

    Ordered by address, then name, so that sorting makes output independent of input order.
    """

    span: Span
    name: str
    kind: Kind
    origin: Origin
    #: True for the machine's own MSI doorbell (GICv2m frame, ITS, x86 LAPIC window).
    doorbell: bool = False
    #: True for boot memory of a machine that the tables made; a QEMU that is read does not say.
    boot: bool = False

    @property
    def dma(self) -> bool:
        """Whether VFIO maps it for assigned devices."""
        return self.kind.dma


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A range things may be put into; it occupies nothing by itself."""

    span: Span
    name: str
    kind: WindowKind
    origin: Origin


@dataclass(frozen=True, slots=True)
class GuestMap:
    """The regions and windows of one guest, sorted by address then name.

    Region names are unique; two regions with the same bounds are still two regions.
    """

    #: ``model``, ``probe``, ``live`` or ``layout``.
    source: str
    #: Name of the machine's family, or its type as QEMU names it where no family is known.
    machine: str
    #: QEMU version text, empty when no QEMU is involved.
    qemu: str
    regions: tuple[Region, ...]
    windows: tuple[Window, ...] = ()
    #: Guest physical address bits the machine or CPU limits itself to; None when unknown.
    address_bits: int | None = None
    notes: tuple[str, ...] = field(default=())
    #: With its version, ``pc-q35-7.2``, where a real QEMU told it; else empty.
    machine_type: str = ""
    #: QEMU's name of the architecture, ``aarch64``; empty when no QEMU is involved.
    target: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "regions", tuple(sorted(self.regions)))
        object.__setattr__(self, "windows", tuple(sorted(self.windows)))
        names = [region.name for region in self.regions]
        if len(set(names)) != len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"region names are not unique: {', '.join(twice)}")

    def of_kind(self, *kinds: Kind) -> tuple[Region, ...]:
        """Return the regions of these kinds, in address order."""
        return tuple(region for region in self.regions if region.kind in kinds)

    def window(self, kind: WindowKind) -> Window | None:
        """Return the lowest window of that kind, or None."""
        return next((window for window in self.windows if window.kind is kind), None)

    @property
    def boot_ram(self) -> tuple[Region, ...]:
        """Boot memory in the order ``-m`` fills it, where the tables made this map."""
        return tuple(region for region in self.regions if region.boot)

    def ram(self) -> SpanSet:
        """Return every byte of RAM (kind ``ram`` only)."""
        return SpanSet(region.span for region in self.of_kind(Kind.RAM))
