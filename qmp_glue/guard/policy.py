"""The judgement: what each command would do to the map, and whether that may be.

What cannot be told is refused, or with ``fail_open`` passed and said so. Facts are read anew for
each judgement, over the same connection the command goes over.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from planner.findings import Finding, Severity
from planner.host.profile import Scope
from planner.judge.forbidden import Binding
from planner.judge.hotplug import MemoryVerdict, judge_device, judge_growth, judge_memory
from planner.region import WindowKind
from planner.units import UnitError, parse_size
from qmp_glue.errors import CommandError, GlueError
from qmp_glue.guard.asking import asking
from qmp_glue.guard.assigned import Assigned, UnknownDeviceError, named_by
from qmp_glue.guard.commands import HARMLESS, HARMLESS_FAMILIES, STATE_LOADS
from qmp_glue.guard.facts import (
    CannotJudgeError,
    Live,
    host_binding,
    read_live,
    usable_region,
)
from qmp_glue.guard.hmp import HmpCommand, NotUnderstoodError, harmless, understand
from qmp_glue.guard.memory import MEMORY_ADDRESS, MemoryRequest, read_request
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import Pass, PassedFd, Refuse, Rewrite, Verdict
from qmp_glue.guard.verdicts import Session as GuardSession
from qmp_glue.session import Session

__all__ = ["Policy", "PolicyJudge", "PolicyOptions"]

#: Drivers that hand a host device to the guest.
_ASSIGNING: Final = re.compile(r"vfio-|vhost-vdpa")
#: Drivers that look like memory; those not in the table of known ones are not judged.
_MEMORY_LIKE: Final = re.compile(r"virtio-p?mem|.*dimm")
#: Arguments that name a host device; a driver not known to be harmless with them is not judged.
_HOST_ARGUMENTS: Final = frozenset({"iommufd", "sysfsdev", "vhostdev"})
#: Properties that no object but a virtio-mem device changes without touching the map.
_RISKY: Final = frozenset(
    {
        "addr",
        "enabled",
        "fd",
        "host",
        "iommufd",
        "memaddr",
        "memdev",
        "memory",
        "realized",
        "size",
        "sysfsdev",
    }
)


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """What whoever runs the guard decides."""

    #: ``/sys``, a copied tree, or a host profile.
    host: str = "/sys"
    scope: Scope = Scope.ASSIGNED
    #: Choose another address for memory that QEMU would put where it may not be.
    steer: bool = True
    #: Pass what cannot be judged.
    fail_open: bool = False
    #: Where device links are looked up.
    sysfs: Path = Path("/sys")
    #: Memory backends that are about to be made, by id: the arguments of their ``object-add``.
    backends: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)


class Policy:
    """Judges single commands; holds nothing between them."""

    def __init__(self, options: PolicyOptions) -> None:
        self.options = options

    def concerns(self, command: Mapping[str, Json]) -> bool:
        """Say whether the command is not known to be harmless."""
        name = command.get("execute")
        if not isinstance(name, str):
            return False
        if name in HARMLESS or name.startswith(HARMLESS_FAMILIES):
            return False
        if name == "human-monitor-command":
            arguments = command.get("arguments")
            line = arguments.get("command-line") if isinstance(arguments, dict) else None
            return isinstance(line, str) and not harmless(line)
        return True

    async def judge(
        self,
        command: dict[str, Json],
        session: Session,
        passed: Mapping[str, PassedFd],
        pid: int | None,
    ) -> Verdict:
        """Judge a command."""
        arguments = command.get("arguments", {})
        if not isinstance(arguments, dict):
            return Pass("QEMU refuses it")
        task = _Task(self.options, session, passed, pid)
        try:
            return await task.judge(command, str(command["execute"]), arguments)
        except (CannotJudgeError, NotUnderstoodError, UnknownDeviceError, GlueError) as exc:
            return self._unjudged(str(exc), task.map_hash)

    def _unjudged(self, reason: str, map_hash: str) -> Verdict:
        if self.options.fail_open:
            return Pass(f"passed without judgement: {reason}", map_hash=map_hash)
        finding = Finding(
            "MM701",
            f"cannot judge: {reason}",
            help="see that the guard can read the facts, or start it with --fail-open",
        )
        return Refuse(_desc([finding]), (finding,), map_hash, unjudged=True)


class PolicyJudge:
    """The policy as the middlebox asks it: over the guard's own connection."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def concerns(self, command: Mapping[str, Json]) -> bool:
        """Say whether the command is not known to be harmless."""
        return self._policy.concerns(command)

    async def judge(self, command: dict[str, Json], session: GuardSession) -> Verdict:
        """Judge a command."""
        return await self._policy.judge(command, asking(session), session.passed, session.peer_pid)


class _Task:
    """One judgement."""

    def __init__(
        self,
        options: PolicyOptions,
        session: Session,
        passed: Mapping[str, PassedFd],
        pid: int | None,
    ) -> None:
        self._options = options
        self._session = session
        self._passed = passed
        self._pid = pid
        #: Of the live map, once it has been read.
        self.map_hash = ""

    async def judge(
        self, command: dict[str, Json], name: str, arguments: dict[str, Json]
    ) -> Verdict:
        if name == "human-monitor-command":
            return await self._human(command, arguments)
        judges: dict[str, Callable[[dict[str, Json]], Awaitable[Verdict]]] = {
            "device_add": self._device_add,
            "device_del": self._nothing_new,
            "netdev_add": self._netdev_add,
            "object-add": self._nothing_new,
            "qom-set": self._qom_set,
            "set-numa-node": self._nothing_new,
            "x-exit-preconfig": self._nothing_new,
        }
        if name in judges:
            verdict = await judges[name](arguments)
        elif name in STATE_LOADS:
            verdict = await self._state_load()
        else:
            verdict = await self._unknown(name)
        if isinstance(verdict, Rewrite):
            return replace(verdict, command={**command, "arguments": verdict.command})
        return verdict

    async def _human(self, command: dict[str, Json], arguments: dict[str, Json]) -> Verdict:
        line = arguments.get("command-line")
        if not isinstance(line, str):
            return Pass("QEMU refuses it")
        human = understand(line)
        if human.name == "human-monitor-command":
            raise NotUnderstoodError(line)
        verdict = await self.judge({}, human.name, human.arguments)
        if isinstance(verdict, Rewrite):
            changed = verdict.command["arguments"]
            return replace(
                verdict,
                command={
                    **command,
                    "arguments": {**arguments, "command-line": _line(human, changed)},
                },
            )
        return verdict

    async def _nothing_new(self, arguments: dict[str, Json]) -> Verdict:
        """Pass what only prepares, or gives back: no memory and no device is added by it."""
        del arguments
        return Pass("adds neither memory nor an assigned device")

    async def _unknown(self, name: str) -> Verdict:
        known = await self._session.execute("query-commands")
        if not any(entry.get("name") == name for entry in known):
            return Pass("QEMU does not know it")
        raise CannotJudgeError(f"command '{name}' is not known to leave the map alone")

    async def _live(self) -> Live:
        live = await read_live(self._session, self._pid, self._options.sysfs)
        self.map_hash = live.hash
        return live

    async def _binding(self, live: Live) -> tuple[Binding, frozenset[str]]:
        return await host_binding(self._options.host, self._options.scope, live.assigned)

    def _nothing_binds(self, live: Live) -> bool:
        return self._options.scope is Scope.ASSIGNED and not live.assigned

    # Devices.

    async def _device_add(self, arguments: dict[str, Json]) -> Verdict:
        driver = arguments.get("driver")
        if not isinstance(driver, str):
            return Pass("QEMU refuses it")
        if _ASSIGNING.match(driver):
            return await self._assign(arguments)
        if driver in MEMORY_ADDRESS:
            return await self._memory(driver, arguments)
        if driver.startswith("ivshmem"):
            return await self._shared_memory(driver)
        if _HOST_ARGUMENTS.intersection(arguments):
            raise CannotJudgeError(f"driver '{driver}' takes a host device in an unknown way")
        kinds = await self._session.execute("qom-list-types", {"implements": "memory-device"})
        if _MEMORY_LIKE.match(driver) or any(entry.get("name") == driver for entry in kinds):
            raise CannotJudgeError(f"driver '{driver}' adds memory in an unknown way")
        return Pass("adds neither memory nor an assigned device")

    async def _shared_memory(self, driver: str) -> Verdict:
        """Judge a device whose BAR is memory: the guest puts it anywhere in the PCI windows."""
        live = await self._live()
        if self._nothing_binds(live):
            return Pass("no device is assigned", map_hash=live.hash)
        binding, _ = await self._binding(live)
        for window in live.guest.windows:
            if window.kind is not WindowKind.DEVICE_MEMORY and binding.holes.overlaps(window.span):
                entry = next(e for e in binding.forbidden if e.span.overlaps(window.span))
                raise CannotJudgeError(
                    f"the guest may put the memory BAR of {driver} anywhere in {window.name}"
                    f" [{window.span}], which {entry.met()}"
                )
        return Pass("its BAR cannot meet a forbidden range", map_hash=live.hash)

    async def _netdev_add(self, arguments: dict[str, Json]) -> Verdict:
        if arguments.get("type") != "vhost-vdpa":
            return Pass("adds no assigned device")
        return await self._assign(arguments)

    async def _assign(self, arguments: dict[str, Json]) -> Verdict:
        device = await asyncio.to_thread(
            named_by, arguments, self._passed, self._pid, self._options.sysfs
        )
        live = await self._live()
        binding, _ = await host_binding(self._options.host, Scope.ASSIGNED, (device,))
        findings = judge_device(live.guest, binding)
        if _errors(findings):
            return Refuse(_desc(findings), tuple(findings), live.hash)
        return Pass(_shown(device), tuple(findings), live.hash)

    async def _memory(self, driver: str, arguments: dict[str, Json]) -> Verdict:
        request = await read_request(self._session, driver, arguments, self._options.backends)
        if request is None:
            return Pass("QEMU refuses it")
        live = await self._live()
        if live.window is None:
            return Pass("QEMU refuses it: the machine takes no memory devices", map_hash=live.hash)
        if self._nothing_binds(live):
            return Pass("no device is assigned", map_hash=live.hash)
        binding, fatal = await self._binding(live)
        plug = request.plug(live.target)
        verdict = judge_memory(plug, live.window, live.taken, binding, fatal)
        if verdict.place is None:
            return Pass("QEMU refuses it", map_hash=live.hash)
        return self._place(request, arguments, verdict, live, holes=bool(binding.holes))

    def _place(
        self,
        request: MemoryRequest,
        arguments: dict[str, Json],
        verdict: MemoryVerdict,
        live: Live,
        *,
        holes: bool,
    ) -> Verdict:
        """Pass, refuse, or choose the address when the caller left it to QEMU."""
        findings, place = verdict.findings, verdict.place
        assert place is not None
        if request.addr is not None:
            if verdict.fits:
                return Pass("", findings, live.hash)
            return Refuse(_desc(findings), findings, live.hash)
        key = MEMORY_ADDRESS[request.driver]
        if findings and self._options.steer and verdict.free is not None:
            note = f"steered to {verdict.free:#x}"
            return Rewrite({**arguments, key: verdict.free}, note, findings, live.hash)
        if not verdict.fits:
            return Refuse(_desc(findings), findings, live.hash)
        if holes and not request.exact:
            # QEMU may align it otherwise than thought: fix what has been judged.
            note = f"pinned to {place.start:#x}"
            return Rewrite({**arguments, key: place.start}, note, findings, live.hash)
        return Pass("", findings, live.hash)

    # Memory that is there and may grow.

    async def _qom_set(self, arguments: dict[str, Json]) -> Verdict:
        path, name = arguments.get("path"), arguments.get("property")
        if not isinstance(path, str) or not isinstance(name, str):
            return Pass("QEMU refuses it")
        try:
            kind = str(await self._get(path, "type"))
        except CommandError:
            return Pass("QEMU refuses it")
        if name == "requested-size" and kind.startswith("virtio-mem"):
            return await self._resize(path, arguments.get("value"))
        if name in _RISKY or kind.startswith("memory-backend"):
            raise CannotJudgeError(f"property '{name}' of {kind} '{path}' could change the map")
        return Pass("changes neither memory nor assigned devices")

    async def _get(self, path: str, name: str) -> Any:
        return await self._session.execute("qom-get", {"path": path, "property": name})

    async def _resize(self, path: str, value: Json) -> Verdict:
        requested = _size(value)
        live = await self._live()
        base = int(await self._get(path, "memaddr"))
        block = int(await self._get(path, "block-size"))
        before = int(await self._get(path, "requested-size"))
        size = int(await self._get(str(await self._get(path, "memdev")), "size"))
        if requested <= before:
            return Pass("does not grow", map_hash=live.hash)
        if requested > size or requested % block:
            return Pass("QEMU refuses it", map_hash=live.hash)
        if self._nothing_binds(live):
            return Pass("no device is assigned", map_hash=live.hash)
        binding, fatal = await self._binding(live)
        used = usable_region(requested, size, block, live.target)
        shown = next((d.id for d in live.plugged if d.span.start == base), "") or path
        findings = judge_growth(shown, base, used, binding, fatal)
        if findings:
            return Refuse(_desc(findings), tuple(findings), live.hash)
        return Pass("", (), live.hash)

    async def _state_load(self) -> Verdict:
        """Judge a loaded state: a virtio-mem device may come back at any size it can have."""
        live = await self._live()
        if self._nothing_binds(live):
            return Pass("no device is assigned", map_hash=live.hash)
        binding, fatal = await self._binding(live)
        findings = [
            finding
            for device in live.plugged
            for finding in judge_growth(
                device.id or device.memdev, device.span.start, device.span.size, binding, fatal
            )
        ]
        if findings:
            return Refuse(_desc(findings), tuple(findings), live.hash)
        return Pass("", (), live.hash)


def _size(value: Json) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise CannotJudgeError(f"size '{value}' is not understood")
    if isinstance(value, int):
        return value
    try:
        return parse_size(value)
    except UnitError as exc:
        raise CannotJudgeError(f"size is not understood: {exc}") from None


def _line(human: HmpCommand, changed: Mapping[str, Json]) -> str:
    """Write the changed arguments back into the human line."""
    for key, value in changed.items():
        if human.arguments.get(key) == value:
            continue
        if key in human.arguments:
            return human.replacing(key, f"{value:#x}")
        return human.with_key(key, f"{value:#x}")
    return human.line


def _shown(device: Assigned) -> str:
    return device.name or f"group {device.group}"


def _errors(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.severity is Severity.ERROR]


def _desc(findings: list[Finding] | tuple[Finding, ...]) -> str:
    """Return the worst finding as the words of a QMP error."""
    errors = _errors(list(findings)) or list(findings)
    first = errors[0]
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"guestmap {first.code}: {first.message}{more}"
