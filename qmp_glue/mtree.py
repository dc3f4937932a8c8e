"""``info mtree -f`` of every QEMU that the machine tables know, read into regions.

The text holds one block for each distinct flat view, headed by the address spaces that use it. The
one of address space ``memory`` is what the CPUs and VFIO see. QEMU 11.1 prints the PCI windows as
``container`` where 10.0 printed ``i/o``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from planner.machine.flatview import unique_names
from planner.region import Kind, Origin, Region
from planner.span import Span
from qmp_glue.errors import GarbageError

__all__ = ["parse_mtree"]

_ORIGIN = Origin("info mtree -f")
_LINE = re.compile(
    r"\s+(?P<first>[0-9a-f]{16})-(?P<last>[0-9a-f]{16})"
    r" \(prio -?\d+, (?P<kind>[a-z/-]+)\): (?P<rest>.*)\Z"
)
#: The offset into the region, and the accelerator that maps it.
_TAIL = re.compile(r"(?: @[0-9a-f]{16})?(?: KVM| HVF| kvm| hvf)?\Z")
#: system/memory.c ``memory_region_type()`` and ``mtree_print_flatview()``, QEMU 7.2 and 10.0.
_KINDS: Mapping[str, Kind] = {
    "ram": Kind.RAM,
    "rom": Kind.ROM,
    "romd": Kind.ROMD,
    "ramd": Kind.RAMD,
    "i/o": Kind.IO,
    "container": Kind.IO,
    "nv-ram": Kind.NVRAM,
    "nv-rom": Kind.NVRAM,
}
#: Regions that take MSI writes: GICv2m frame, ITS translation page, x86 local APIC, RISC-V IMSIC,
#: LoongArch PCH-MSI.
_DOORBELLS = re.compile(r"(?:gicv2m|translation|apic-msi|kvm-apic-msi|riscv\.imsic.*|pch_msi.*)\Z")


def parse_mtree(text: str, ids: Mapping[tuple[str, int], str] | None = None) -> tuple[Region, ...]:
    """Read the flat view of address space ``memory``.

    :param ids: names for regions by backend and base address: the ids of memory devices.
    :raise GarbageError: there is no such view, or a line is not understood.
    """
    found: list[tuple[Span, str, Kind]] = []
    for line in _memory_view(text):
        match = _LINE.match(line)
        if not match:
            raise GarbageError(f"info mtree: a line is not understood: '{line.strip()[:100]}'")
        kind = _KINDS.get(match["kind"])
        if kind is None:
            raise GarbageError(f"info mtree: '{match['kind']}' is not a known kind of region")
        first, last = int(match["first"], 16), int(match["last"], 16)
        if last < first:
            raise GarbageError(f"info mtree: a region ends before it starts: '{line.strip()}'")
        found.append((Span.inclusive(first, last), _TAIL.sub("", match["rest"]), kind))
    named = [((ids or {}).get((name, span.start), name), span, kind) for span, name, kind in found]
    names = unique_names([(name, span.start) for name, span, _ in named])
    return tuple(
        Region(span, name, kind, _ORIGIN, doorbell=bool(_DOORBELLS.match(plain)))
        for (plain, span, kind), name in zip(named, names, strict=True)
    )


def _memory_view(text: str) -> Iterable[str]:
    """Return the region lines of the view that address space ``memory`` uses."""
    lines: list[str] = []
    wanted = seen = False
    for line in text.replace("\r", "").splitlines():
        if line.startswith("FlatView"):
            wanted = False
        elif line.lstrip().startswith("AS "):
            wanted = wanted or '"memory"' in line
            seen = seen or wanted
        elif wanted and "Root memory region" not in line and line.strip():
            lines.append(line)
    if not seen or not lines:
        raise GarbageError('info mtree: no flat view of address space "memory" in the answer')
    return lines
