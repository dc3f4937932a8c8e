"""The Arm ``virt`` board.

Layout rules from hw/arm/virt.c ``virt_set_memmap()`` and ``virt_set_high_memmap()``, QEMU 7.2 and
10.0; 11.1 as its program shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

from planner.machine.device_memory import MAX_SLOTS, place_devices, plugged_regions
from planner.machine.family import Family, Machine
from planner.machine.flatview import Piece, flatten
from planner.machine.ram import boot_pieces, boot_sizes
from planner.machine.request import (
    MachineRefusedError,
    MachineRequest,
    MemoryDevice,
    NotModelledError,
)
from planner.machine.virt.devices import (
    REDIST,
    REDIST2_SIZE,
    High,
    board_pieces,
    board_windows,
    redist_capacity,
)
from planner.machine.virt.settings import (
    GICV2_MAX_CPUS,
    Settings,
    gic_version,
    msi_controller,
    settle,
)
from planner.region import GuestMap
from planner.span import GIB, MIB, Span, SpanSet, align_up

__all__ = ["machine"]

RAM_BASE = 1 * GIB
#: ``LEGACY_RAMLIMIT_BYTES``: high regions never start below RAM base + 255 GiB.
HIGH_FLOOR = 256 * GIB


def machine(family: Family) -> Machine:
    """Return the model of a family."""
    return _Virt(family)


class _Virt:
    """What QEMU makes of ``-M virt``."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def build(self, request: MachineRequest) -> GuestMap:
        """Return the map; see :class:`planner.machine.family.Machine`."""
        settings = settle(self._family, request)
        ram, ceiling = boot_sizes(request)
        if request.slots > MAX_SLOTS:
            raise MachineRefusedError(
                f"unsupported number of memory slots: {request.slots}",
                f"ask for at most {MAX_SLOTS} slots",
            )
        window_base = align_up(RAM_BASE + ram, GIB)
        window_size = ceiling - ram + request.slots * GIB
        top = window_base + align_up(window_size, GIB)
        _check_top(top, settings, request)
        settings = replace(settings, gic=gic_version(request, settings.options, settings.qemu))
        high = high_regions(max(top, HIGH_FLOOR), settings)
        _check_cpus(request, settings, high)
        msi = msi_controller(settings)
        window = Span.sized(window_base, window_size) if window_size else None
        devices = place_devices(
            request.devices, window, ceiling - ram, request.slots, partial(_check_dimm, settings)
        )
        if request.iommu and settings.options.text("iommu", "none") != "none":
            raise MachineRefusedError(
                "virt machine does not support multiple IOMMUs",
                "leave iommu= of -M or the virtio-iommu-pci device out",
            )
        pieces = [
            *board_pieces(request, settings, high, msi),
            *boot_pieces(request, self._family.ram, [Span.sized(RAM_BASE, ram)]),
        ]
        pieces += (
            Piece(region.span, region.name, region.kind, region.origin)
            for region in plugged_regions(devices)
        )
        return GuestMap(
            source="model",
            machine=self._family.name,
            target=self._family.targets[0],
            qemu=request.qemu,
            regions=flatten(pieces),
            windows=tuple(board_windows(window, high)),
            address_bits=settings.pa_bits,
        )

    def variants(self, request: MachineRequest, forbidden: SpanSet) -> Iterable[MachineRequest]:
        """Yield the request; then without ``highmem=off``, which caps memory at 4 GiB.

        RAM's base is fixed at 1 GiB: nothing else on this board moves boot memory.
        """
        del forbidden  # No lever of this board depends on where the holes are.
        yield request
        if request.options.get("highmem") in {"off", "no", "false"}:
            options = {key: value for key, value in request.options.items() if key != "highmem"}
            yield replace(request, options=options)


def _check_top(top: int, settings: Settings, request: MachineRequest) -> None:
    limit = 1 << settings.pa_bits
    if top <= limit:
        return
    why = f"memory, slots (1 GiB each) and rounding end at {top:#x}"
    if not settings.options.flag("highmem", default=True):
        help_text = f"{why}; highmem=off keeps everything below 4 GiB: leave it out"
    elif request.slots:
        help_text = f"{why}; lower maxmem or slots, or choose a CPU with more address bits"
    else:
        help_text = f"{why}; lower -m or choose a CPU with more address bits"
    raise MachineRefusedError(
        f"Addressing limited to {settings.pa_bits} bits,"
        f" but memory exceeds it by {top - limit} bytes",
        help_text,
    )


def high_regions(base: int, settings: Settings) -> High:
    """Place redistributors, ECAM and MMIO above memory, each on its own size."""
    options = settings.options
    # Compact layout: virt-7.2 and later on QEMU 8.0 and later; 7.2 itself has the old one only.
    compact = options.flag("compact-highmem", default=settings.version >= (7, 2))
    compact = compact and settings.qemu >= (8, 0)
    wanted = (
        (REDIST2_SIZE, options.flag("highmem-redists", default=True)),
        (256 * MIB, options.flag("highmem-ecam", default=settings.version > (2, 12))),
        (settings.mmio_size, options.flag("highmem-mmio", default=True)),
    )
    placed: list[Span | None] = []
    for size, enabled in wanted:
        start = align_up(base, size)
        fits = start + size <= 1 << settings.pa_bits
        placed.append(Span.sized(start, size) if enabled and fits else None)
        if not compact or placed[-1]:
            base = start + size
    redist2, ecam, mmio = placed
    return High(redist2, ecam, mmio)


def _check_cpus(request: MachineRequest, settings: Settings, high: High) -> None:
    asked = request.max_cpus or request.cpus
    if settings.gic == 2:
        most = GICV2_MAX_CPUS
    else:
        # 7.2 counts the high redistributors whether they fit or not.
        second = Span(0, REDIST2_SIZE) if settings.qemu < (8, 0) else high.redist2
        most = redist_capacity(REDIST, settings.gic) + redist_capacity(second, settings.gic)
    most = min(most, 255 if settings.version <= (2, 12) else 512)
    if asked > most:
        raise MachineRefusedError(
            f"Number of SMP CPUs requested ({asked}) exceeds max CPUs supported by machine"
            f" 'mach-virt' ({most})",
            "ask for fewer CPUs" + (" or gic-version=3" if settings.gic == 2 else ""),
        )
    if (
        settings.gic != 2
        and request.cpus > redist_capacity(REDIST, settings.gic)
        and not high.redist2
    ):
        raise NotModelledError("more CPUs than redistributors that fit")


def _check_dimm(settings: Settings, device: MemoryDevice) -> None:
    if not settings.ged:
        raise MachineRefusedError(
            "memory hotplug is not enabled: missing acpi-ged device",
            "a DIMM needs ACPI: a 64-bit CPU and a firmware image (-bios or pflash);"
            " virtio-mem-pci works without",
        )
    if settings.options.flag("mte", default=False):
        raise MachineRefusedError(
            "memory hotplug is not enabled: MTE is enabled", "leave mte=on out"
        )
    nvdimm = settings.options.flag("nvdimm", default=False)
    if not nvdimm and device.driver == "nvdimm":
        raise MachineRefusedError(
            "nvdimm is not enabled: add 'nvdimm=on' to '-M'", "add nvdimm=on to -M"
        )
