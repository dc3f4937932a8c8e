"""Things somebody adds: devices, network backends and objects, each by what the tables say."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from planner.findings import Severity
from planner.judge.hotplug import judge_device
from qmp_glue.guard.aside import aside
from qmp_glue.guard.assigned import named_by
from qmp_glue.guard.bars import check_bars, check_cxl, check_roms, check_there
from qmp_glue.guard.case import Case
from qmp_glue.guard.memory import plug_memory
from qmp_glue.guard.process import listen_somewhere
from qmp_glue.guard.table import arguments as argument_table
from qmp_glue.guard.table import drivers, netdevs, objects
from qmp_glue.guard.table.rows import Class, Judge, Row
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import (
    CannotJudgeError,
    NotAllowedError,
    Pass,
    Refuse,
    Rewrite,
    Verdict,
)

__all__ = ["add_device", "add_netdev", "add_object"]


async def add_device(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a ``device_add``: its driver, and each of its arguments."""
    driver = arguments.get("driver")
    if not isinstance(driver, str):
        raise CannotJudgeError("the device has no driver")
    row = case.allowed(drivers.TABLE.find(driver, case.version), f"driver '{driver}'")
    if row.judge is Judge.DMA_WINDOW:
        raise NotAllowedError(
            f"driver '{driver}': {row.why}; one that the host cannot give ends QEMU when a device"
            " is assigned behind it"
        )
    verdicts: list[Verdict] = []
    for judge in sorted(_judges(case, row, arguments)):
        verdicts.append(await _RULES[judge](case, arguments))
        if isinstance(verdicts[-1], Refuse):
            return verdicts[-1]
    # What changes the command, or has most to say, stands for all.
    return max(
        verdicts,
        key=lambda each: (isinstance(each, Rewrite), len(each.findings)),
        default=Pass(row.why),
    )


async def add_netdev(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a ``netdev_add``."""
    kind = arguments.get("type")
    if not isinstance(kind, str):
        raise CannotJudgeError("the network backend has no type")
    row = case.allowed(netdevs.TABLE.find(kind, case.version), f"network backend '{kind}'")
    if row.kind is Class.HARMLESS:
        return Pass(row.why)
    rule = _assign if row.judge is Judge.ASSIGN else listen_somewhere
    return await rule(case, arguments)


async def add_object(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge an ``object-add``."""
    kind = arguments.get("qom-type")
    if not isinstance(kind, str):
        raise CannotJudgeError("the object has no type")
    row = case.allowed(objects.TABLE.find(kind, case.version), f"object type '{kind}'")
    if row.kind is Class.JUDGED:
        raise CannotJudgeError(f"object type '{kind}' is {row.why}")
    return Pass(row.why)


def _judges(case: Case, row: Row, arguments: Mapping[str, Json]) -> set[Judge]:
    """Return what a device has to be judged by."""
    found = {row.judge} if row.judge else set()
    for name, value in arguments.items():
        shown = f"argument '{name}' of driver '{row.name}'"
        judge = case.allowed(argument_table.TABLE.find(name, case.version), shown).judge
        if judge is None:
            continue
        if judge in {Judge.RAM_BAR, Judge.ROM_BAR}:
            if value not in ("", "off", False):
                found.add(judge)
            continue
        # A backend is behind a BAR, a CXL decoder or an address, as the driver has it.
        if judge is Judge.MEMORY and found & {Judge.RAM_BAR, Judge.CXL}:
            continue
        if judge is not row.judge:
            raise CannotJudgeError(f"{shown} is {_why(judge)} in an unknown way")
    if arguments.get("romfile") == "":
        found.discard(Judge.ROM_BAR)
    return found


def _why(judge: Judge) -> str:
    return "a host device" if judge is Judge.ASSIGN else "memory"


async def _assign(case: Case, arguments: dict[str, Json]) -> Verdict:
    peer = await case.qemu()
    device = await aside("the host device", named_by, arguments, peer, case.options.sysfs)
    binding = await case.binding_of(device)
    findings = judge_device((await case.live()).guest, binding)
    if any(finding.severity is Severity.ERROR for finding in findings):
        return Refuse.of(findings)
    await check_there(case, binding)
    return Pass(device.name or f"group {device.group}", findings=tuple(findings))


_RULES: Final[Mapping[Judge, Callable[[Case, dict[str, Json]], Awaitable[Verdict]]]] = {
    Judge.MEMORY: plug_memory,
    Judge.RAM_BAR: check_bars,
    Judge.ROM_BAR: check_roms,
    Judge.CXL: check_cxl,
    Judge.ASSIGN: _assign,
}
