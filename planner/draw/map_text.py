"""A guest map as text: the order and the inclusive ends of ``info mtree``, runs folded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby

from planner.draw.paint import Paint
from planner.findings import span_json
from planner.region import GuestMap, Kind, Region
from planner.units import show_size

__all__ = ["map_json", "map_text"]

FORMAT = "guestmap/map"
VERSION = 1
_STYLES = {Kind.RAM: "ram", Kind.IO: "io"}


def map_json(found: GuestMap, left_out: Iterable[str] = ()) -> dict[str, object]:
    """Return the map as JSON data, the same for a probe, the model and a running QEMU.

    :param left_out: words of the command line the probe did not start.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "source": found.source,
        "qemu": found.qemu,
        "machine": found.machine,
        "regions": [
            {
                "name": region.name,
                "kind": region.kind.value,
                **span_json(region.span),
                "dma": region.dma,
            }
            for region in found.regions
        ],
        "windows": [
            {"name": window.kind.value, **span_json(window.span)} for window in found.windows
        ],
        "notes": list(found.notes),
        "left_out": list(left_out),
    }


def map_text(found: GuestMap, left_out: Iterable[str], paint: Paint) -> str:
    """Return the map as text, one line a region; ``dma`` marks what assigned devices can reach."""
    rows = [_row(list(run)) for _, run in groupby(found.regions, _fold_key(found))]
    rows += [
        (str(window.span), show_size(window.span.size), "window", "", window.kind.value, "window")
        for window in found.windows
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(4)] if rows else []
    title = f"{found.machine}, QEMU {found.qemu}" if found.qemu else found.machine
    lines = [f"{title} ({found.source})"]
    for row in rows:
        cells = [row[0].ljust(widths[0]), row[1].rjust(widths[1])]
        cells += [row[2].ljust(widths[2]), row[3].ljust(widths[3]), row[4]]
        lines.append("  " + paint("  ".join(cells).rstrip(), row[5]))
    lines += [f"note: {note}" for note in found.notes]
    lines += [f"left out: {words}" for words in left_out]
    return "\n".join(lines)


_Row = tuple[str, str, str, str, str, str]


def _row(run: list[Region]) -> _Row:
    first, last = run[0], run[-1]
    name = first.name if len(run) == 1 else f"{_plain(first)} ×{len(run)}"
    span = f"{first.span.start:#x}-{last.span.last:#x}"
    size = show_size(last.span.end - first.span.start)
    mark = "dma" if first.dma else ""
    if first.doorbell:
        name, style = f"{name} (doorbell)", "doorbell"
    else:
        style = _STYLES.get(first.kind, "dim")
    return span, size, first.kind.value, mark, name, style


def _plain(region: Region) -> str:
    """Return a region's name without the address that makes it unique."""
    return region.name.removesuffix(f"@{region.span.start:#x}")


def _fold_key(found: GuestMap) -> Callable[[Region], int]:
    """Return a key that is equal for neighbours of one name, such as 32 virtio-mmio slots."""
    runs: dict[Region, int] = {}
    number, previous = 0, None
    for region in found.regions:
        joins = (
            previous is not None
            and previous.kind is Kind.IO
            and region.kind is Kind.IO
            and _plain(previous) == _plain(region)
            and previous.span.end == region.span.start
        )
        number += not joins
        runs[region] = number
        previous = region
    return runs.__getitem__
