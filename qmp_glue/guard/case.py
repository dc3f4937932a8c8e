"""One command before the judge: who is asked, under which policy, and what was read for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from planner.host.profile import Scope
from planner.judge.forbidden import Binding
from qmp_glue.asks import COMMAND_SECONDS, Asks
from qmp_glue.guard.assigned import Assigned, UnknownDeviceError, asked_for, assigned_now
from qmp_glue.guard.facts import Live, host_binding, read_live
from qmp_glue.guard.identity import qemu_pid
from qmp_glue.guard.table import questions
from qmp_glue.guard.table.rows import Class, Row
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import CannotJudgeError, NotAllowedError, Peer

__all__ = ["Case", "PolicyOptions"]


@dataclass(frozen=True, slots=True)
class PolicyOptions:
    """What whoever runs the guard decides."""

    #: Each ``/sys``, a copied tree, or a host profile. Memory must suit all of them; the first is
    #: where the VM runs, and its devices are.
    hosts: tuple[str, ...] = ("/sys",)
    scope: Scope = Scope.ASSIGNED
    #: Choose another address for memory that QEMU would put where it may not be.
    steer: bool = True
    #: Pass what cannot be judged.
    fail_open: bool = False
    #: Let ``migrate`` make QEMU another program (mode cpr-exec).
    allow_exec: bool = False
    #: QEMU's process is not to be seen, on another machine or behind a relay: the host devices it
    #: names are all it has. A vDPA backend of its command line is then missed, which has no name.
    elsewhere: bool = False
    #: Where device links are looked up.
    sysfs: Path = Path("/sys")
    #: Sockets of the guard's own, whose places QEMU may not take.
    sockets: tuple[Path, ...] = ()
    #: Memory backends that are about to be made, by id: the arguments of their ``object-add``.
    backends: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)


class _Questions(Asks):
    """Lets through to QEMU what has no effect, and nothing else."""

    def __init__(self, asks: Asks) -> None:
        self._asks = asks
        self.name = asks.name
        self.version = asks.version

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        seconds: float | None = COMMAND_SECONDS,
    ) -> Any:
        questions.check(command, arguments)
        return await self._asks.execute(command, arguments, seconds)

    async def once(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        # Kept with the connection, not with this judgement.
        questions.check(command, arguments)
        return await self._asks.once(command, arguments)

    async def text(self, line: str) -> str:
        questions.check("human-monitor-command", {"command-line": line})
        return await self._asks.text(line)


@dataclass(slots=True)
class Case:
    """One judgement. The live map is read once, when the first rule wants it."""

    options: PolicyOptions
    asks: Asks
    peer: Peer
    _live: Live | None = None
    _assigned: tuple[Assigned, ...] | None = None
    _found: bool = False

    def __post_init__(self) -> None:
        """Have nothing asked that has an effect."""
        self.asks = _Questions(self.asks)

    @property
    def map_hash(self) -> str:
        """Of the live map, once it has been read."""
        return self._live.hash if self._live else ""

    @property
    def version(self) -> tuple[int, int]:
        """QEMU's, as the tables count them."""
        return self.asks.version.major, self.asks.version.minor

    def allowed(self, row: Row | None, shown: str) -> Row:
        """Return a row that does not refuse.

        :param shown: what it is about, in words.
        :raise CannotJudgeError: there is none.
        :raise NotAllowedError: it refuses.
        """
        if row is None:
            raise CannotJudgeError(
                f"{shown} stands in no table of guestmap for QEMU {self.asks.version}"
            )
        if row.kind is Class.REFUSED:
            raise NotAllowedError(f"{shown}: {row.why}")
        return row

    async def live(self) -> Live:
        """Return the running QEMU as it is.

        :raise CannotJudgeError: it cannot be read.
        """
        if self._live is None:
            self._live = await read_live(self.asks)
        return self._live

    async def qemu(self) -> Peer:
        """Return QEMU's process; without a pid when it cannot be told."""
        if not self._found:
            self.peer = replace(self.peer, pid=await qemu_pid(self.asks, self.peer.pid))
            self._found = True
        return self.peer

    async def assigned(self) -> tuple[Assigned, ...]:
        """Return the host devices QEMU holds.

        :raise UnknownDeviceError: they cannot be told.
        """
        if self._assigned is None:
            peer = await self.qemu()
            if peer.pid is None and self.options.elsewhere:
                self._assigned = await asked_for(self.asks, self.options.sysfs)
            else:
                self._assigned = await assigned_now(self.asks, peer.pid, self.options.sysfs)
        return self._assigned

    async def unbound(self) -> bool:
        """Whether nothing binds the map: no device is assigned, and none need be assignable."""
        return self.options.scope is Scope.ASSIGNED and not await self.assigned()

    async def binding(self) -> tuple[Binding, frozenset[str]]:
        """Return what binds the map, and the ids of the groups of the assigned devices."""
        try:
            assigned = await self.assigned()
        except UnknownDeviceError:
            if self.options.scope is Scope.ASSIGNED:
                raise
            # Every group binds, whichever are assigned.
            assigned = ()
        return await host_binding(self.options.hosts, self.options.scope, assigned)

    async def binding_of(self, device: Assigned) -> Binding:
        """Return what would bind the map with *device* assigned, where the VM runs."""
        return (await host_binding(self.options.hosts[:1], Scope.ASSIGNED, (device,)))[0]
