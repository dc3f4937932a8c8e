"""Will the devices attach, and if not, what would have to change: the judgement of ``check``. Pure.

Whatever is judged (a command line, a domain) is a :class:`Source`: it says what it asks for, shows
its map, and writes changes its own way. A proposal is proved: the changed source's map is read and
judged as the first one was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Generic, Protocol, Self, TypeVar

from planner.findings import Finding, Mend, Severity, worst
from planner.host.profile import HostProfile, Scope
from planner.judge.asked import judge_asked
from planner.judge.forbidden import Binding, bind
from planner.judge.ram import judge_ram
from planner.judge.verdict import judge_hosts, judge_map
from planner.machine.asked import Asked, MapRead
from planner.machine.change import Change
from planner.machine.request import MachineRefusedError, NotModelledError
from planner.place.repair import Repair, RepairError, narrow, repair
from planner.region import GuestMap

__all__ = ["Checked", "Source", "binding_of", "check"]


class Source(Protocol):
    """What is checked."""

    @property
    def asked(self) -> Asked:
        """What it asks for."""
        ...

    def read_map(self) -> MapRead:
        """Return its map."""
        ...

    def changed(self, changes: Iterable[Change]) -> Self:
        """Return it with changes written into it."""
        ...


_S = TypeVar("_S", bound=Source)


@dataclass(frozen=True, slots=True)
class Checked(Generic[_S]):
    """A judged source."""

    source: _S
    binding: Binding
    read: MapRead
    #: The worst first.
    findings: tuple[Finding, ...]
    #: What helps, and the source with it; both None where nothing does or need be.
    repair: Repair | None = None
    mended: _S | None = None
    #: Why nothing helps, where something is wrong.
    no_fix: str = ""

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return worst(self.findings) is not Severity.ERROR

    @property
    def unassignable(self) -> bool:
        """Whether the firmware keeps a device that is asked for."""
        return any(finding.mended_by is Mend.FIRMWARE for finding in self.findings)

    @property
    def lost(self) -> tuple[Finding, ...]:
        """The errors that stay whatever is proposed."""
        errors = tuple(f for f in self.findings if f.severity is Severity.ERROR)
        beyond = tuple(f for f in errors if f.mended_by is not Mend.PLACE)
        return beyond or (() if self.repair else errors)


def binding_of(asked: Asked, hosts: Iterable[HostProfile], devices: Iterable[str] = ()) -> Binding:
    """Return what binds: the groups of the devices named, every group where none is.

    :param devices: host devices besides those that are asked for.
    """
    named = {*asked.places, *devices}
    return bind(hosts, Scope.ASSIGNED if named else Scope.HOST, named)


def check(source: _S, binding: Binding, failures: tuple[type[Exception], ...] = ()) -> Checked[_S]:
    """Judge a source, and look for a change where something is wrong.

    :param failures: what the changed source may raise when it is written or read.
    """
    asked, read = source.asked, source.read_map()
    guest = read.map
    findings = [*judge_hosts(binding, asked.places), *judge_map(guest, binding)]
    findings += judge_asked(asked)
    if binding.scope is Scope.ASSIGNED:
        findings += _later(guest, binding)
    else:
        # Nobody is assigned yet: what would be refused is a warning, not a failure of this guest.
        findings = [
            replace(f, level=Severity.WARNING) if f.mended_by is Mend.PLACE else f for f in findings
        ]
    unique = tuple(sorted(set(findings), key=Finding.urgency))
    checked = Checked(source, binding, read, unique)
    try:
        found = _find_repair(checked)
        if found is None:
            return checked
        mended = source.changed(found.changes)
        after = mended.read_map().map
    except (RepairError, MachineRefusedError) as error:
        return replace(checked, no_fix=str(error))
    except NotModelledError as error:
        return replace(checked, no_fix=f"the tables do not model this machine: {error}")
    except failures as error:
        return replace(checked, no_fix=f"the changed line does not start: {error}")
    left = [*judge_ram(after, binding), *judge_asked(mended.asked)]
    left = [finding for finding in left if finding.severity is Severity.ERROR]
    if left:
        return replace(checked, no_fix=f"the changed line still collides: {left[0].message}")
    return replace(checked, repair=found, mended=mended)


def _later(guest: GuestMap, binding: Binding) -> list[Finding]:
    """Say what a device of another group would meet when it is plugged later."""
    every = bind(binding.hosts, Scope.HOST, binding.devices)
    bound = {(entry.span, entry.type, entry.host) for entry in binding.forbidden}
    others = tuple(e for e in every.forbidden if (e.span, e.type, e.host) not in bound)
    return [
        replace(finding, message=f"for later hotplug: {finding.message}", level=Severity.NOTE)
        for finding in judge_ram(guest, replace(every, forbidden=others))
    ]


def _find_repair(checked: Checked[_S]) -> Repair | None:
    wanted = {f.mended_by for f in checked.findings if f.severity is not Severity.NOTE}
    asked, binding = checked.source.asked, checked.binding
    found = repair(asked, binding) if Mend.PLACE in wanted else None
    if Mend.NARROW in wanted and binding.aperture_bits is not None:
        request = found.request if found else asked.request
        try:
            narrower = narrow(request, asked.machine, binding.aperture_bits)
            found = found.then(narrower) if found else narrower
        except RepairError:
            # Only peer-to-peer DMA is lost; memory that can be mended still is.
            if found is None:
                raise
    return found
