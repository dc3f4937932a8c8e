"""PCI host bridge windows from the text of ``/proc/iomem``.

Advisory facts: the kernel keeps them from its own DMA mappings only (``iova_reserve_pci_windows()``
in drivers/iommu/dma-iommu.c), and never lists them in ``reserved_regions``. The addresses are the
CPU's; what the bridge decodes are bus addresses, which this file does not show.
"""

from __future__ import annotations

import re

from planner.host.profile import BridgeWindow
from planner.region import Origin
from planner.span import Span

__all__ = ["bridge_windows"]

_LINE = re.compile(r"( *)([0-9a-f]+)-([0-9a-f]+) : (.*)")
#: ACPI hosts name a root bus's window after the bus, devicetree hosts after the bridge's node.
_BRIDGE = re.compile(r"PCI Bus [0-9a-f]{4,}:[0-9a-f]{2}\Z|pcie?@[0-9a-f]+\Z")


def bridge_windows(text: str) -> tuple[BridgeWindow, ...] | None:
    """Return the outermost PCI windows, sorted; None when the addresses are hidden.

    The kernel shows zeros for every address to readers without CAP_SYS_ADMIN.
    """
    found: list[BridgeWindow] = []
    inside: int | None = None
    hidden = True
    for number, line in enumerate(text.splitlines(), 1):
        match = _LINE.match(line)
        if match is None:
            continue
        depth, first, last = len(match[1]), int(match[2], 16), int(match[3], 16)
        hidden = hidden and last == 0
        if inside is not None and depth > inside:
            continue
        inside = depth if _BRIDGE.match(match[4]) else None
        if inside is not None and 0 <= first <= last < 1 << 64:
            origin = Origin(f"proc/iomem line {number}")
            found.append(BridgeWindow(Span(first, last + 1), match[4], origin))
    return None if hidden else tuple(sorted(found))
