"""A ``device_add`` of memory: read from its arguments and the backend it names, and judged."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from planner.findings import Mend
from planner.guest.kernel import memory_block
from planner.judge.hotplug import Plug, judge_memory
from planner.units import UnitError, parse_size, show_size
from qmp_glue.asks import Asks
from qmp_glue.guard.case import Case
from qmp_glue.guard.facts import usable_region
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import (
    NO_DEVICE,
    CannotJudgeError,
    Pass,
    Refuse,
    Rewrite,
    Verdict,
)

__all__ = ["MEMORY_ADDRESS", "plug_memory"]

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
#: An id as QEMU takes it (util/id.c ``id_wellformed()``, 7.2), alone or as a path.
_BACKEND: Final = re.compile(r"(?:/objects/)?([A-Za-z][A-Za-z0-9._-]*)")
_NUMBER: Final = re.compile(r"0x[0-9a-fA-F]{1,16}|0|[1-9][0-9]{0,19}")


async def plug_memory(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a ``device_add`` of memory."""
    driver = str(arguments["driver"])
    # The map, the backend and what is assigned in one go.
    unbound, live, backend = await asyncio.gather(
        case.unbound(), case.live(), _backend(case, arguments)
    )
    if unbound:
        return NO_DEVICE
    if driver not in MEMORY_ADDRESS:
        raise CannotJudgeError(f"driver '{driver}' adds memory in an unknown way")
    plug = _read_plug(backend, driver, arguments, live.target)
    if live.window is None:
        raise CannotJudgeError("the machine has no device memory; QEMU starts it with maxmem=")
    binding, fatal = await case.binding()
    # An NVDIMM is no memory that the guest brings online.
    block = 1 if driver in {"nvdimm", "virtio-pmem-pci"} else memory_block(live.guest)
    verdict = judge_memory(plug, live.window, live.taken, binding, fatal, block=block)
    findings, place, key = verdict.findings, verdict.place, MEMORY_ADDRESS[driver]
    if place is None:
        if binding.holes.overlaps(live.window):
            raise CannotJudgeError(
                f"device memory [{live.window}] has no room for {show_size(plug.size)}: where it"
                " would go cannot be told"
            )
        return Pass("nothing in device memory is forbidden")
    # The address is only chosen when the caller leaves it to QEMU.
    meets = any(finding.mended_by is Mend.PLACE or finding.code == "MM702" for finding in findings)
    if plug.addr is None and meets and case.options.steer and verdict.free is not None:
        words = f"steered to {verdict.free:#x}"
        return Rewrite({**arguments, key: verdict.free}, words, findings=findings)
    if not verdict.fits:
        return Refuse.of(findings)
    if plug.addr is None and not verdict.sure:
        # QEMU may align it otherwise than thought: fix what has been judged.
        words = f"pinned to {place.start:#x}"
        return Rewrite({**arguments, key: place.start}, words, findings=findings)
    return Pass(findings=findings)


async def _backend(case: Case, arguments: Mapping[str, Json]) -> Mapping[str, Json]:
    """Read the backend.

    :raise CannotJudgeError: it is none, or not named without doubt.
    :raise GlueError: QEMU did not answer.
    """
    memdev = arguments.get("memdev")
    found = _BACKEND.fullmatch(memdev) if isinstance(memdev, str) else None
    if found is None:
        # Any other path may end at another object in QEMU than here (qom/object.c
        # object_resolve_partial_path(), 7.2).
        raise CannotJudgeError(f"memdev '{memdev}' is neither ID nor /objects/ID")
    backend = case.options.backends.get(found[1]) or await _read_backend(case.asks, found[1])
    kind = backend.get("qom-type")
    if not isinstance(kind, str) or not kind.startswith("memory-backend-"):
        raise CannotJudgeError(f"memdev '{memdev}' is no memory backend, but {kind}")
    return backend


def _read_plug(
    backend: Mapping[str, Json], driver: str, arguments: Mapping[str, Json], target: str
) -> Plug:
    """Read what is to be added.

    :raise CannotJudgeError: its arguments are not understood.
    """
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
        raise CannotJudgeError(f"memdev '{arguments['memdev']}' leaves no memory")
    if driver != "virtio-mem-pci":
        return Plug(shown, size, align, addr, exact=exact)
    block = _number(arguments.get("block-size"), "block-size") or max(_ANONYMOUS, _huge_page())
    requested = _number(arguments.get("requested-size"), "requested-size")
    used = usable_region(requested, size, block, target)
    return Plug(shown, size, max(align, block), addr, used, exact and block == _ANONYMOUS)


async def _read_backend(session: Asks, name: str) -> dict[str, Json]:
    """Ask for what decides about size and alignment."""
    path = f"/objects/{name}"
    # Properties a kind lacks are None, as good as absent.
    names = ("type", "size", "align", "hugetlbsize", "mem-path")
    told = await asyncio.gather(*(session.get(path, each) for each in names))
    found: dict[str, Json] = dict(zip(("qom-type", *names[1:]), told, strict=True))
    if found["qom-type"] is None or found["size"] is None:
        raise CannotJudgeError(f"'{path}' is no memory backend")
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
