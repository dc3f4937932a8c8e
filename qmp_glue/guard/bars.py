"""Memory in BARs, which the guest puts anywhere in its PCI windows.

A guest that keeps to the windows its firmware describes can still meet a forbidden range with it:
where a window and a hole meet, QEMU would end. Option ROMs are memory, too, below 4 GiB only
(PCI Local Bus Specification 3.0, 6.2.5.2: the expansion ROM's base is 32 bits).
"""

from __future__ import annotations

from typing import Final

from planner.judge.forbidden import Binding
from planner.region import WindowKind
from qmp_glue.guard.case import Case
from qmp_glue.guard.table import drivers
from qmp_glue.guard.table.rows import Judge
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import NO_DEVICE, CannotJudgeError, Pass, Verdict

__all__ = ["check_bars", "check_cxl", "check_roms", "check_there"]

_BARS: Final = frozenset({WindowKind.PCI_MMIO32, WindowKind.PCI_MMIO64})
_ROMS: Final = frozenset({WindowKind.PCI_MMIO32})
#: Where QEMU keeps devices (hw/core/qdev.c ``qdev_set_id()``, and what boards make).
_CONTAINERS: Final = ("/machine/peripheral", "/machine/peripheral-anon", "/machine/unattached")


async def check_bars(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a device whose BAR is memory."""
    return await _check(case, f"the memory BAR of {arguments['driver']}", _BARS)


async def check_roms(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a device with an option ROM."""
    words = f"the option ROM of {arguments['driver']} (romfile= takes it away)"
    return await _check(case, words, _ROMS)


async def check_cxl(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge memory behind CXL decoders."""
    del arguments
    if await case.unbound():
        return NO_DEVICE
    raise CannotJudgeError("where the guest's CXL decoders put its memory cannot be told")


async def check_there(case: Case, binding: Binding) -> None:
    """Insist that no memory BAR that is there may land in what *binding* forbids.

    :raise CannotJudgeError: one may.
    """
    met = [kinds for kinds in (_BARS, _ROMS) if await _meeting(case, binding, kinds)]
    for container in _CONTAINERS if met else ():
        for entry in await case.asks.execute("qom-list", {"path": container}):
            kind = str(entry.get("type", "")).removeprefix("child<").removesuffix(">")
            row = drivers.TABLE.find(kind, case.version)
            if row is None or kind == str(entry.get("type")):
                continue
            path = f"{container}/{entry['name']}"
            if row.judge is Judge.RAM_BAR or await _given(case, path):
                kinds, what = _BARS, "memory BAR"
            elif _ROMS in met and await case.asks.get(path, "romfile"):
                kinds, what = _ROMS, "option ROM"
            else:
                continue
            if words := await _meeting(case, binding, kinds):
                raise CannotJudgeError(f"the guest may put the {what} of '{entry['name']}' {words}")


async def _given(case: Case, path: str) -> bool:
    """Say whether a device got memory for a BAR: an nvme's pmrdev, a pci-testdev's membar."""
    for name in ("pmrdev", "membar-backed"):
        if await case.asks.get(path, name):
            return True
    return False


async def _check(case: Case, what: str, kinds: frozenset[WindowKind]) -> Verdict:
    if await case.unbound():
        return NO_DEVICE
    binding, _ = await case.binding()
    if words := await _meeting(case, binding, kinds):
        raise CannotJudgeError(f"the guest may put {what} {words}")
    return Pass("its memory cannot meet a forbidden range")


async def _meeting(case: Case, binding: Binding, kinds: frozenset[WindowKind]) -> str:
    """Say where a window of these kinds meets what is forbidden; empty when none does."""
    windows = [w for w in (await case.live()).guest.windows if w.kind in _BARS]
    if not windows and binding.holes:
        return "anywhere: this machine's PCI windows are not known"
    for window in windows:
        if window.kind in kinds and binding.holes.overlaps(window.span):
            entry = next(e for e in binding.forbidden if e.span.overlaps(window.span))
            return f"anywhere in {window.name} [{window.span}], which {entry.met()}"
    return ""
