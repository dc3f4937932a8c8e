"""A guest map as text: the order and the inclusive ends of ``info mtree``, runs folded."""

from __future__ import annotations

from collections.abc import Iterable

from planner.draw.columns import exhibit_columns
from planner.draw.exhibit import of_map
from planner.draw.looks import LOOKS
from planner.draw.paint import Paint
from planner.draw.scene import Box, Style
from planner.region import GuestMap
from planner.units import show_size

__all__ = ["map_text"]


def map_text(guest: GuestMap, left_out: Iterable[str], paint: Paint) -> list[str]:
    """Return the map as lines, one a region, windows last.

    ``dma`` marks what assigned devices can reach.
    """
    (column,) = exhibit_columns(of_map(guest.machine, guest, None))
    boxes = sorted(column.boxes, key=lambda box: box.style is Style.WINDOW)
    rows = [_cells(box) for box in boxes]
    widths = [max(map(len, cells), default=0) for cells in zip(*rows, strict=True)]
    title = f"{guest.machine}, QEMU {guest.qemu}" if guest.qemu else guest.machine
    lines = [f"{title} ({guest.source})"]
    for box, (span, size, kind, dma, name) in zip(boxes, rows, strict=True):
        place = f"{span:<{widths[0]}}  {size:>{widths[1]}}"
        text = f"{place}  {kind:<{widths[2]}}  {dma:<{widths[3]}}  {name}"
        lines.append("  " + paint(text, LOOKS[box.style].paint))
    lines += [f"note: {note}" for note in guest.notes]
    return [*lines, *(f"left out: {words}" for words in left_out)]


def _cells(box: Box) -> tuple[str, str, str, str, str]:
    kind = "window" if box.style is Style.WINDOW else box.kind
    dma = "dma" if box.style in (Style.RAM, Style.ROM) else ""
    name = f"{box.title} (doorbell)" if box.style is Style.DOORBELL else box.title
    return str(box.span), show_size(box.span.size), kind, dma, name
