"""Devices somebody adds: assigned ones, memory, and those whose BAR is memory."""

from __future__ import annotations

import re
from typing import Final

from planner.findings import Severity
from planner.judge.hotplug import judge_device
from planner.region import WindowKind
from qmp_glue.guard.aside import aside
from qmp_glue.guard.assigned import named_by
from qmp_glue.guard.case import Case
from qmp_glue.guard.memory import MEMORY_ADDRESS, plug_memory
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import (
    NO_DEVICE,
    QEMU_REFUSES,
    CannotJudgeError,
    Pass,
    Refuse,
    Verdict,
)

__all__ = ["add_device", "add_netdev"]

#: Drivers that hand a host device to the guest.
_ASSIGNING: Final = re.compile(r"vfio-|vhost-vdpa")
#: Drivers that look like memory; those not in the table of known ones are not judged.
_MEMORY_LIKE: Final = re.compile(r"virtio-p?mem|.*dimm")
#: Arguments that name a host device; a driver not known to be harmless with them is not judged.
_HOST_ARGUMENTS: Final = frozenset({"iommufd", "sysfsdev", "vhostdev"})


async def add_device(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a ``device_add``."""
    driver = arguments.get("driver")
    if not isinstance(driver, str):
        return QEMU_REFUSES
    if _ASSIGNING.match(driver):
        return await _assign(case, arguments)
    if driver in MEMORY_ADDRESS:
        return await plug_memory(case, driver, arguments)
    if driver.startswith("ivshmem"):
        return await _memory_bar(case, driver)
    if _HOST_ARGUMENTS.intersection(arguments):
        raise CannotJudgeError(f"driver '{driver}' takes a host device in an unknown way")
    kinds = await case.asks.execute("qom-list-types", {"implements": "memory-device"})
    if _MEMORY_LIKE.match(driver) or any(entry.get("name") == driver for entry in kinds):
        raise CannotJudgeError(f"driver '{driver}' adds memory in an unknown way")
    return Pass("adds neither memory nor an assigned device")


async def add_netdev(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a ``netdev_add``."""
    if arguments.get("type") != "vhost-vdpa":
        return Pass("adds no assigned device")
    return await _assign(case, arguments)


async def _assign(case: Case, arguments: dict[str, Json]) -> Verdict:
    device = await aside("the host device", named_by, arguments, case.peer, case.options.sysfs)
    live = await case.live()
    findings = judge_device(live.guest, await case.binding_of(device))
    if any(finding.severity is Severity.ERROR for finding in findings):
        return Refuse.of(findings)
    return Pass(device.name or f"group {device.group}", findings=tuple(findings))


async def _memory_bar(case: Case, driver: str) -> Verdict:
    """Judge a device whose BAR is memory: the guest puts it anywhere in the PCI windows."""
    if await case.unbound():
        return NO_DEVICE
    binding, _ = await case.binding()
    for window in (await case.live()).guest.windows:
        if window.kind is not WindowKind.DEVICE_MEMORY and binding.holes.overlaps(window.span):
            entry = next(e for e in binding.forbidden if e.span.overlaps(window.span))
            raise CannotJudgeError(
                f"the guest may put the memory BAR of {driver} anywhere in {window.name}"
                f" [{window.span}], which {entry.met()}"
            )
    return Pass("its BAR cannot meet a forbidden range")
