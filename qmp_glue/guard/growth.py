"""Memory that is there and may grow: by a property, or with a loaded state."""

from __future__ import annotations

from planner.judge.hotplug import judge_growth
from planner.units import UnitError, parse_size
from qmp_glue.guard.bars import check_there
from qmp_glue.guard.case import Case
from qmp_glue.guard.facts import usable_region
from qmp_glue.guard.process import listen_somewhere
from qmp_glue.guard.table import properties
from qmp_glue.guard.table.rows import Class
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import (
    NO_DEVICE,
    CannotJudgeError,
    Pass,
    Refuse,
    Verdict,
)

__all__ = ["load_state", "set_property"]


async def set_property(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a ``qom-set``."""
    path, name = arguments.get("path"), arguments.get("property")
    if not isinstance(path, str) or not isinstance(name, str):
        raise CannotJudgeError("the property to set is not named")
    kind = await case.asks.get(path, "type")
    if not isinstance(kind, str):
        raise CannotJudgeError(f"'{path}' names no one object")
    # The table's rows hold for all versions.
    row = case.allowed(properties.find(kind, name), f"property '{name}' of {kind}")
    if row.kind is Class.HARMLESS:
        return Pass(row.why)
    return await _resize(case, path, arguments.get("value"))


async def _resize(case: Case, path: str, value: Json) -> Verdict:
    requested = _size(value)
    live = await case.live()
    base, block = await _number(case, path, "memaddr"), await _number(case, path, "block-size")
    before = await _number(case, path, "requested-size")
    size = await _number(case, str(await case.asks.get(path, "memdev")), "size")
    if requested <= before:
        return Pass("does not grow")
    if await case.unbound():
        return NO_DEVICE
    binding, fatal = await case.binding()
    used = usable_region(requested, size, block, live.target)
    shown = next((d.id for d in live.plugged if d.span.start == base), "") or path
    findings = judge_growth(shown, base, used, binding, fatal)
    return Refuse.of(findings) if findings else Pass()


async def load_state(case: Case, arguments: dict[str, Json]) -> Verdict:
    """Judge a loaded state: a virtio-mem device may come back at any size it can have.

    BARs come back anywhere in the PCI windows, too, and what the state comes from may listen.
    """
    await listen_somewhere(case, arguments)
    if await case.unbound():
        return NO_DEVICE
    binding, fatal = await case.binding()
    await check_there(case, binding)
    findings = [
        finding
        for device in (await case.live()).plugged
        for finding in judge_growth(
            device.id or device.memdev, device.span.start, device.span.size, binding, fatal
        )
    ]
    return Refuse.of(findings) if findings else Pass()


async def _number(case: Case, path: str, name: str) -> int:
    value = await case.asks.get(path, name)
    if not isinstance(value, int):
        raise CannotJudgeError(f"'{path}' does not tell its {name}")
    return value


def _size(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise CannotJudgeError(f"size '{value}' is not understood")
    if isinstance(value, int):
        return value
    try:
        return parse_size(value)
    except UnitError as exc:
        raise CannotJudgeError(f"size is not understood: {exc}") from None
