"""A board or VMM that the layout describes itself: fixed regions, and windows RAM may go into.

Nothing is known of its levers but the windows, so boot memory starts at the lowest window's first
address that is free, and pieces go anywhere inside windows.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from planner.machine.custom import BOOT_BASE, CUSTOM
from planner.machine.request import MachineRefusedError, MachineRequest
from planner.region import GuestMap, Kind, Origin, Region, Window, WindowKind
from planner.span import MIB, Span, SpanError, SpanSet, align_up
from planner.units import show_size

__all__ = ["Custom"]

_BOOT = "ram"


@dataclass(frozen=True, slots=True)
class Custom:
    """The machine interface over a layout's own regions and windows."""

    regions: tuple[Region, ...]
    windows: tuple[Window, ...]

    @property
    def _ram_windows(self) -> list[Window]:
        return sorted(w for w in self.windows if w.kind is WindowKind.RAM_WINDOW)

    def build(self, request: MachineRequest) -> GuestMap:
        """Return the fixed regions with boot memory and pieces in place.

        :raise MachineRefusedError: memory leaves its window or covers a fixed region.
        """
        base = int(request.options.get(BOOT_BASE, "0"), 0)
        if BOOT_BASE not in request.options:
            base = self._ram_windows[0].span.start
        memory = [self._memory(_BOOT, base, request.boot_bytes)]
        memory += [
            self._memory(device.id, device.addr, device.size)
            for device in request.devices
            if device.addr is not None
        ]
        return GuestMap(
            source="layout",
            machine=CUSTOM.name,
            qemu="",
            regions=(*self.regions, *memory),
            windows=self.windows,
            address_bits=request.address_bits,
        )

    def _memory(self, name: str, base: int, size: int) -> Region:
        windows = self._ram_windows
        try:
            span = Span.sized(base, size)
        except SpanError:
            raise MachineRefusedError(
                f"{show_size(size)} at {base:#x} leave the 64-bit address space"
            ) from None
        if not SpanSet(window.span for window in windows).covers(span):
            raise MachineRefusedError(
                f"{show_size(size)} at {base:#x} leave the windows for RAM: "
                + ", ".join(f"[{window.span}]" for window in windows),
                "make a window of kind ram larger",
            )
        for region in self.regions:
            if region.span.overlaps(span):
                raise MachineRefusedError(
                    f"{show_size(size)} at {base:#x} cover '{region.name}' [{region.span}]"
                )
        origin = Origin("placed in a ram window")
        return Region(span, name, Kind.RAM, origin, boot=name == _BOOT)

    def variants(self, request: MachineRequest, forbidden: SpanSet) -> Iterable[MachineRequest]:
        """Yield boot memory at the start of each free stretch of the windows, lowest first."""
        taken = forbidden | SpanSet(region.span for region in self.regions)
        free = SpanSet(window.span for window in self._ram_windows) - taken
        for span in free:
            base = align_up(span.start, MIB)
            if base < span.end:
                yield replace(request, options={**request.options, BOOT_BASE: f"{base:#x}"})
