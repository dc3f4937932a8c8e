"""One command before the judge: who is asked, under which policy, and what was read for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from planner.host.profile import Scope
from planner.judge.forbidden import Binding
from qmp_glue.asks import Asks
from qmp_glue.guard.assigned import Assigned
from qmp_glue.guard.facts import Live, host_binding, read_live
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import Peer

__all__ = ["Case", "PolicyOptions"]


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


@dataclass(slots=True)
class Case:
    """One judgement. The live map is read once, when the first rule wants it."""

    options: PolicyOptions
    asks: Asks
    peer: Peer
    _live: Live | None = None

    @property
    def map_hash(self) -> str:
        """Of the live map, once it has been read."""
        return self._live.hash if self._live else ""

    async def live(self) -> Live:
        """Return the running QEMU as it is.

        :raise CannotJudgeError: it cannot be read.
        """
        if self._live is None:
            self._live = await read_live(self.asks, self.peer.pid, self.options.sysfs)
        return self._live

    async def unbound(self) -> bool:
        """Whether nothing binds the map: no device is assigned, and none need be assignable."""
        return self.options.scope is Scope.ASSIGNED and not (await self.live()).assigned

    async def binding(self) -> tuple[Binding, frozenset[str]]:
        """Return what binds the map, and the ids of the groups of the assigned devices."""
        assigned = (await self.live()).assigned
        return await host_binding(self.options.host, self.options.scope, assigned)

    async def binding_of(self, device: Assigned) -> Binding:
        """Return what would bind the map with *device* assigned."""
        return (await host_binding(self.options.host, Scope.ASSIGNED, (device,)))[0]
