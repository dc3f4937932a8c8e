"""The trial: ask the kernel for its usable ranges and for its verdict on each span."""

from __future__ import annotations

import errno

import agent_pci
import iommufd
import take
import vfio

TYPE_CHECKING = False  # typing takes a tenth of a second here
if TYPE_CHECKING:
    from typing import Any

#: Largest span that is really mapped; larger ones are judged by EFAULT, see vfio.anonymous().
REAL = 16 << 20
HUGE = 1 << 45


def run(job: dict[str, Any]) -> dict[str, object]:
    """Take the host's facts, then try each batch: devices and spans."""
    for batch in job["batches"]:
        for device in batch["devices"]:
            take_group(vfio.group_of(device))
    facts = take.run(job)
    make: type[vfio.Container | iommufd.Space] = vfio.Container
    if job["iommufd"]:
        make = iommufd.Space
    real, huge = vfio.memory(REAL), vfio.anonymous(HUGE)
    facts["batches"] = [attempt(batch, real, huge, make) for batch in job["batches"]]
    return facts


def take_group(group: str | None) -> None:
    """Make a group viable: its devices with vfio-pci, its bridges with the port driver or none."""
    for member in vfio.members(group) if group else ():
        driver = vfio.driver_of(member)
        if not vfio.is_bridge(member):
            if driver != "vfio-pci":
                agent_pci.bind(member)
        elif driver not in ("", "pcieport"):
            agent_pci.unbind(member)


def attempt(
    batch: dict[str, Any],
    real: int,
    huge: int,
    make: type[vfio.Container | iommufd.Space],
) -> dict[str, object]:
    """Try one batch; *make* gives an object like vfio.Container."""
    groups: list[str] = []
    for device in batch["devices"]:
        group = vfio.group_of(device)
        if group is None:
            return {"refused": "no group", "errno": "ENODEV"}
        if group not in groups:
            groups.append(group)
    try:
        container = make(groups)
    except OSError as error:
        return {"refused": str(error.strerror), "errno": errno.errorcode.get(error.errno or 0, "?")}
    pages, ranges = container.ranges()
    verdicts, stuck = [], []
    for start, size in batch["spans"]:
        code, clean = container.map(real if size <= REAL else huge, start, size)
        if code == errno.EFAULT and size > REAL:
            code = 0
        verdicts.append(code)
        if not clean:
            # A kernel that cannot unmap again would judge later spans by what is left over.
            stuck.append([start, size])
            container.close()
            container = make(groups)
    container.close()
    return {
        "pages": pages,
        "ranges": ranges,
        "verdicts": verdicts,
        "stuck": stuck,
        "groups": groups,
    }
