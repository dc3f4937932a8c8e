"""A ``device_add`` of memory, read from its arguments and the backend it names."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from planner.judge.hotplug import Plug
from planner.units import UnitError, parse_size
from qmp_glue.errors import CommandError
from qmp_glue.guard.facts import CannotJudgeError, usable_region
from qmp_glue.guard.values import Json
from qmp_glue.session import Session

__all__ = ["MEMORY_ADDRESS", "MemoryRequest", "read_request"]

#: Driver → the property that holds its guest address. ``addr`` of a PCI device is its slot.
MEMORY_ADDRESS: Final = {
    "pc-dimm": "addr",
    "nvdimm": "addr",
    "virtio-mem-pci": "memaddr",
    "virtio-pmem-pci": "memaddr",
}
#: Alignment of anonymous memory (QEMU_VMALLOC_ALIGN on 64-bit Linux hosts, include/qemu/osdep.h,
#: QEMU 7.2); also the least virtio-mem block, unless huge pages are larger.
_ANONYMOUS: Final = 2 << 20
_HUGE_PAGE: Final = Path("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size")
_NUMBER: Final = re.compile(r"0x[0-9a-fA-F]{1,16}|0|[1-9][0-9]{0,19}")


@dataclass(frozen=True, slots=True)
class MemoryRequest:
    """A memory device somebody wants to add. Bytes."""

    driver: str
    name: str
    #: Size of its address range.
    size: int
    align: int
    #: None, or 0 in the arguments: QEMU chooses.
    addr: int | None
    #: Whether *align* is surely what QEMU uses.
    exact: bool
    #: virtio-mem only: what it may hold at once, and its block size.
    requested: int | None = None
    block: int = 0

    def plug(self, target: str) -> Plug:
        """Return it as the rules take it."""
        used = None
        if self.requested is not None:
            used = usable_region(self.requested, self.size, self.block, target)
        return Plug(self.name, self.size, self.align, self.addr, used, self.exact)


async def read_request(
    session: Session,
    driver: str,
    arguments: Mapping[str, Json],
    backends: Mapping[str, Mapping[str, Json]],
) -> MemoryRequest | None:
    """Read a request; None when it is one that QEMU refuses.

    :param backends: memory backends QEMU does not have yet, by id.

    :raise CannotJudgeError: its arguments are not understood.
    :raise GlueError: QEMU did not answer.
    """
    memdev = arguments.get("memdev")
    if not isinstance(memdev, str):
        return None
    planned = backends.get(memdev)
    try:
        backend = planned or await _read_backend(session, memdev)
    except CommandError:
        return None
    size = _number(backend.get("size"), "size")
    align, exact = _alignment(backend)
    addr = _number(arguments.get(MEMORY_ADDRESS[driver]), MEMORY_ADDRESS[driver]) or None
    name = arguments.get("id")
    shown = name if isinstance(name, str) and name else "(unnamed)"
    if driver == "nvdimm":
        # The label is cut off the end, then the rest to whole pages of the backend.
        size -= _number(arguments.get("label-size"), "label-size")
        size -= size % align if exact else 0
    if size <= 0:
        return None
    if driver != "virtio-mem-pci":
        return MemoryRequest(driver, shown, size, align, addr, exact)
    block = _number(arguments.get("block-size"), "block-size")
    huge = block or max(_ANONYMOUS, _huge_page())
    return MemoryRequest(
        driver,
        shown,
        size,
        max(align, huge),
        addr,
        exact=exact and huge == _ANONYMOUS,
        requested=_number(arguments.get("requested-size"), "requested-size"),
        block=huge,
    )


async def _read_backend(session: Session, memdev: str) -> dict[str, Json]:
    """Ask for what decides about size and alignment; properties a kind lacks are left out."""
    path = memdev if memdev.startswith("/") else f"/objects/{memdev}"

    async def get(name: str) -> Json:
        return await session.execute("qom-get", {"path": path, "property": name})

    found: dict[str, Json] = {"qom-type": await get("type"), "size": await get("size")}
    if found["qom-type"] != "memory-backend-ram":
        for name in ("align", "hugetlbsize", "mem-path"):
            with contextlib.suppress(CommandError):
                found[name] = await get(name)
    return found


def _alignment(backend: Mapping[str, Json]) -> tuple[int, bool]:
    """Return an alignment that suits the backend, and whether it is the one QEMU uses."""
    if backend.get("qom-type") == "memory-backend-ram":
        return _ANONYMOUS, True
    align = max(_ANONYMOUS, *(_number(backend.get(n), n) for n in ("align", "hugetlbsize")))
    place = backend.get("mem-path")
    if isinstance(place, str):
        with contextlib.suppress(OSError):
            align = max(align, os.statvfs(place).f_bsize)
    return 1 << (align - 1).bit_length(), False


def _huge_page() -> int:
    try:
        return int(_HUGE_PAGE.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 0


def _number(value: Json, name: str) -> int:
    """Read a number as QEMU's keyval visitor does, where there is no doubt; 0 when absent."""
    if value is None:
        return 0
    if isinstance(value, bool):
        raise CannotJudgeError(f"{name} '{value}' is not understood")
    if isinstance(value, int):
        if not 0 <= value < 1 << 64:
            raise CannotJudgeError(f"{name} {value} is not a 64-bit number")
        return value
    if isinstance(value, str):
        if _NUMBER.fullmatch(value):
            return int(value, 0)
        if name.endswith(("size", "align")):
            try:
                return parse_size(value)
            except UnitError as exc:
                raise CannotJudgeError(f"{name} is not understood: {exc}") from None
    raise CannotJudgeError(f"{name} '{value}' is not understood")
