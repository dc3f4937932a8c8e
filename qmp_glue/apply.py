"""A plan made real: pieces plugged into a paused QEMU, and any QEMU compared with its plan.

Plugging goes one way: while a guest is paused, ``device_del`` answers but the DIMM stays. So a
failed step ends the work with a word on what stands and what does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from planner.argv.qmp import Command, plug_commands
from planner.argv.write import IOMMU_ID, machine_word, root_port
from planner.findings import Finding
from planner.judge.difference import compare_maps
from planner.judge.forbidden import Forbidden
from planner.machine.family import family
from planner.machine.request import MachineRequest
from planner.region import GuestMap
from planner.span import Span
from planner.units import show_size
from qmp_glue.addresses import MonitorAddress
from qmp_glue.asks import Asks
from qmp_glue.errors import CommandError
from qmp_glue.live import at_monitor
from qmp_glue.onlining import unplugged
from qmp_glue.reading import read_map

__all__ = ["Planned", "apply_plan", "verify_plan"]

#: States in which nothing runs yet; qapi/run-state.json ``RunState``.
_PAUSED = ("prelaunch", "paused", "inmigrate", "preconfig")


@dataclass(frozen=True, slots=True)
class Planned:
    """What the plan says, as far as a real QEMU can be compared with it."""

    request: MachineRequest
    #: The planned map.
    guest: GuestMap
    forbidden: tuple[Forbidden, ...]
    doorbell: Span | None


def verify_plan(planned: Planned, address: MonitorAddress, *, asked: bool = False) -> list[Finding]:
    """Compare a running QEMU with a plan.

    :param asked: whether the guest itself is asked besides; else QEMU tells what it knows of it.
    :raise GlueError: nobody answers there.
    """

    async def job(asks: Asks) -> list[Finding]:
        found = await _verify(asks, planned)
        return found if asked else [*found, *await unplugged(asks)]

    return at_monitor(address, job)


async def _verify(session: Asks, planned: Planned) -> list[Finding]:
    real = await read_map(session, "live")
    found = await _other_machine(session, planned, real)
    found += compare_maps(planned.guest.regions, planned.guest.windows, real, planned.forbidden)
    if planned.doorbell:
        found += await _doorbell(session, planned.doorbell)
    return found


def apply_plan(planned: Planned, address: MonitorAddress, *, reserve: bool = True) -> list[Finding]:
    """Plug the plan's pieces into a paused QEMU, then compare it with the plan.

    :raise GlueError: nobody answers there.
    """
    return at_monitor(address, lambda asks: _apply(asks, planned, reserve=reserve))


async def _apply(session: Asks, planned: Planned, *, reserve: bool) -> list[Finding]:
    real = await read_map(session, "live")
    refused = await _other_machine(session, planned, real)
    refused += await _not_paused(session)
    if refused:
        return refused
    failed = await _plug(session, plug_commands(planned.request, reserve=reserve), planned.request)
    return failed or await _verify(session, planned)


async def _plug(
    session: Asks, commands: Sequence[Command], request: MachineRequest
) -> list[Finding]:
    done: list[str] = []
    for command in commands:
        try:
            await session.execute(command.execute, command.arguments)
        except CommandError as error:
            missing = await _missing_ports(session, request)
            return [_failed(command, error, done, commands, missing)]
        done.append(command.purpose)
    return []


async def _missing_ports(session: Asks, request: MachineRequest) -> list[str]:
    """Return the root ports that the plan's virtio-mem devices want and QEMU does not have."""
    wanted = [root_port(each) for each in request.devices if each.driver == "virtio-mem-pci"]
    return [
        port for port in wanted if await session.get(f"/machine/peripheral/{port}", "type") is None
    ]


def _failed(
    command: Command,
    error: CommandError,
    done: Sequence[str],
    commands: Sequence[Command],
    missing: Sequence[str],
) -> Finding:
    open_steps = [step.purpose for step in commands[len(done) :]]
    notes = [f"done and standing: {'; '.join(done) or 'nothing'}"]
    notes.append(f"not done: {'; '.join(open_steps)}")
    if missing:
        notes.append(
            f"virtio-mem is plugged into root ports ({', '.join(missing)});"
            " 'guestmap args --without-pieces' puts them on the command line"
        )
    return Finding(
        "MM607",
        f"QEMU refused {command.execute} ({command.purpose}): {error.description}",
        help="end this QEMU and launch it again: what is plugged cannot be taken back before the"
        " guest runs",
        notes=tuple(notes),
    )


async def _not_paused(session: Asks) -> list[Finding]:
    status = await session.execute("query-status")
    state = str(status.get("status", "")) if isinstance(status, dict) else ""
    if state in _PAUSED:
        return []
    return [
        Finding(
            "MM606",
            f"the guest is {state or 'in an unknown state'}, and a plan is applied before it runs",
            help="start QEMU with -S; a running guest is changed with 'guestmap hotplug'",
        )
    ]


async def _other_machine(session: Asks, planned: Planned, real: GuestMap) -> list[Finding]:
    """Refuse a QEMU that is another machine than the plan's."""
    wanted, request, running = machine_word(planned.request), planned.request, real.machine_type
    found: list[Finding] = []
    if real.machine != request.type or (request.version and running != wanted):
        record, shown = family(request.type), running or real.machine
        if real.target not in record.targets and record.matches(shown):
            shown, wanted = f"{shown} of {real.target}", f"{wanted} of {record.targets[0]}"
        found.append(
            Finding(
                "MM606",
                f"the running QEMU is a {shown}, the plan is for {wanted}",
                help="name the QEMU that was started from this plan",
            )
        )
        return found
    size = await session.execute("query-memory-size-summary")
    base = int(size["base-memory"])
    if base != request.boot_bytes:
        found.append(
            Finding(
                "MM606",
                f"the running QEMU has {show_size(base)} of boot memory,"
                f" the plan {show_size(request.boot_bytes)}",
                help="start QEMU with the plan's own arguments, 'guestmap args'",
            )
        )
    return found


async def _doorbell(session: Asks, wanted: Span) -> list[Finding]:
    """Read back what virtio-iommu tells the guest."""
    expected = f"{wanted.start:#x}:{wanted.last:#x}:1"
    path = f"/machine/peripheral/{IOMMU_ID}"
    told = ""
    for name in ("reserved-regions", "reserved-regions[0]"):
        try:
            value = await session.execute("qom-get", {"path": path, "property": name})
        except CommandError as error:
            told = told or error.description
            continue
        told = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        break
    if told == expected:
        return []
    return [
        Finding(
            "MM608",
            f"virtio-iommu should report the doorbell [{wanted}] as {expected}; QEMU says: {told}",
            help="start QEMU with the plan's own arguments, 'guestmap args'",
        )
    ]
