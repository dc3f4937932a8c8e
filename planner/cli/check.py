"""``guestmap check``: will a command line's devices attach, and if not, what to change."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, replace
from typing import Any

import click

from planner.argv.line import CommandLine
from planner.argv.split import ArgvError
from planner.cli import options
from planner.cli.exits import Exit, ReachError, UnreadableError
from planner.cli.facts import read_facts
from planner.cli.output import (
    exit_for,
    findings_text,
    print_json,
)
from planner.draw.check_text import repair_text
from planner.draw.paint import painter
from planner.findings import Finding, Mend, Severity
from planner.host.profile import Scope
from planner.judge.forbidden import Binding, bind
from planner.judge.ram import judge_ram
from planner.judge.verdict import judge_hosts, judge_map
from planner.machine.registry import for_type
from planner.machine.request import MachineRefusedError, NotModelledError
from planner.place.plan import piece_driver
from planner.place.repair import Repair, RepairError, narrow, repair
from planner.region import GuestMap
from planner.units import show_size
from qmp_glue.errors import GlueError
from qmp_glue.probe import probe_line, read_argv

__all__ = ["command"]


@dataclass(frozen=True, slots=True)
class _Checked:
    guest: GuestMap
    binding: Binding
    findings: tuple[Finding, ...]
    left_out: tuple[str, ...]


@click.command(name="check")
@options.hosts("this host")
@options.device
@options.model
@click.option("--fix", is_flag=True, help="Print only a command line that works, fit for a shell.")
@options.json
@options.color
@options.words(required=True)
def command(
    words: tuple[str, ...],
    hosts: tuple[str, ...],
    devices: tuple[str, ...],
    *,
    model: bool,
    fix: bool,
    as_json: bool,
    color: bool,
) -> int:
    """Judge a QEMU command line against what the host forbids.

    The map is the real one: the program is started paused, without disks, networks and devices,
    read, and ended. Where memory collides, the smallest change that works is printed, and probed.

    \b
    Example:
      guestmap check -- qemu-system-aarch64 -M virt -m 4G -device vfio-pci,host=0000:29:00.0
      guestmap check --fix --host amd.yaml -- qemu-system-aarch64 -M virt -m 4G | sh
    """
    try:
        line = read_argv(words)
    except ArgvError as error:
        raise UnreadableError(str(error)) from error
    binding = _binding(line, hosts, devices)
    checked = _check(line, binding, model=model)
    proposal, why_not = _propose(line, checked, model=model)
    if fix:
        return _print_fix(line, checked, proposal, why_not)
    if as_json:
        print_json(_document(checked, proposal, why_not))
    else:
        _show(checked, proposal, why_not, color=color)
    return exit_for(checked.findings)


def _binding(line: CommandLine, paths: tuple[str, ...], devices: tuple[str, ...]) -> Binding:
    profiles = [read_facts(path) for path in paths or ("/sys",)]
    named = {device.host for device in line.assigned if device.host} | set(devices)
    return bind(profiles, Scope.ASSIGNED if named else Scope.HOST, named)


def _map(line: CommandLine, *, model: bool) -> tuple[GuestMap, tuple[str, ...]]:
    """Return the line's map and what was left out to read it."""
    if not model:
        try:
            result = probe_line(line)
        except GlueError as error:
            help_text = f"\n  = help: {error.help}" if error.help else ""
            raise ReachError(f"{error.message}{help_text}") from error
        return result.map, result.left_out
    try:
        request = line.request()
        return for_type(request.type).build(request), ()
    except NotModelledError as error:
        raise UnreadableError(f"not modelled: {error}; leave --model out") from error
    except MachineRefusedError as error:
        raise UnreadableError(f"QEMU would refuse this: {error.message}") from error
    except ArgvError as error:
        raise UnreadableError(str(error)) from error


def _check(line: CommandLine, binding: Binding, *, model: bool) -> _Checked:
    guest, left_out = _map(line, model=model)
    findings = [*judge_hosts(binding), *judge_map(guest, binding), *_unidentified(line)]
    if binding.scope is Scope.ASSIGNED:
        findings += _later(guest, binding)
    else:
        # Nobody is assigned yet: what would be refused is a warning, not a failure of this line.
        findings = [
            replace(f, level=Severity.WARNING) if f.mended_by is Mend.PLACE else f for f in findings
        ]
    unique = sorted(set(findings), key=Finding.urgency)
    return _Checked(guest, binding, tuple(unique), left_out)


def _unidentified(line: CommandLine) -> list[Finding]:
    return [
        Finding(
            "MM413",
            f"'{device.option}' does not say which host device it assigns",
            help="name it with host= or sysfsdev=, or add --device",
        )
        for device in line.assigned
        if not device.host
    ]


def _later(guest: GuestMap, binding: Binding) -> list[Finding]:
    """Say what a device of another group would meet when it is plugged later."""
    every = bind(binding.hosts, Scope.HOST, binding.devices)
    bound = {(entry.span, entry.type, entry.host) for entry in binding.forbidden}
    others = tuple(e for e in every.forbidden if (e.span, e.type, e.host) not in bound)
    return [
        replace(
            finding,
            message=f"for later hotplug: {finding.message}",
            level=Severity.NOTE,
        )
        for finding in judge_ram(guest, replace(every, forbidden=others))
    ]


def _propose(line: CommandLine, checked: _Checked, *, model: bool) -> tuple[Repair | None, str]:
    """Return a command line that works, probed to be sure, or why there is none."""
    binding = checked.binding
    wanted = {f.mended_by for f in checked.findings if f.severity is not Severity.NOTE}
    try:
        found = None
        if Mend.PLACE in wanted:
            request = line.request()
            machine = for_type(request.type)
            found = repair(line, request, machine, binding, piece_driver(request))
            line = read_argv(found.argv)
        if Mend.NARROW in wanted and binding.aperture_bits is not None:
            request = line.request()
            try:
                narrower = narrow(line, request, for_type(request.type), binding.aperture_bits)
                found = found.then(narrower) if found else narrower
            except RepairError:
                # Only peer-to-peer DMA is lost; memory that can be mended still is.
                if found is None:
                    raise
        if found is None:
            return None, ""
        guest, _ = _map(read_argv(found.argv), model=model)
    except RepairError as error:
        return None, str(error)
    except NotModelledError as error:
        return None, f"the tables do not model this machine: {error}"
    except (MachineRefusedError, ArgvError) as error:
        return None, str(error)
    except (ReachError, UnreadableError) as error:
        return None, f"the changed line does not start: {error.message}"
    left = judge_ram(guest, binding)
    if left:
        return None, f"the changed line still collides: {left[0].message}"
    return found, ""


def _print_fix(line: CommandLine, checked: _Checked, proposal: Repair | None, why_not: str) -> int:
    """Print a line that works; nothing on stdout when there is none."""
    errors = [f for f in checked.findings if f.severity is Severity.ERROR]
    hopeless = [f for f in errors if f.mended_by is not Mend.PLACE]
    if hopeless or (errors and proposal is None):
        click.echo(findings_text(hopeless or errors, {}), err=True, nl=False)
        if why_not:
            click.echo(f"no change helps: {why_not}", err=True)
        return Exit.FINDINGS
    argv = (
        proposal.argv
        if proposal
        else (line.program, *(word for option in line.options for word in option.words))
    )
    click.echo(shlex.join(argv))
    return Exit.OK


def _show(checked: _Checked, proposal: Repair | None, why_not: str, *, color: bool) -> None:
    paint = painter(color=color)
    guest, binding = checked.guest, checked.binding
    devices = ", ".join(binding.devices) or "any device"
    hosts = ", ".join(host.name for host in binding.hosts)
    ok = not exit_for(checked.findings)
    verdict = paint("fits", "ram") if ok else paint("does not fit", "error")
    total = show_size(guest.ram().size)
    click.echo(
        f"{guest.machine} {guest.qemu} ({guest.source}), {total} mapped for DMA,"
        f" {devices} on {hosts}: {verdict}",
        color=color,
    )
    if checked.findings:
        click.echo("\n" + findings_text(checked.findings, {}, color=color), nl=False, color=color)
    unassignable = any(finding.mended_by is Mend.FIRMWARE for finding in checked.findings)
    if proposal:
        click.echo("\n" + repair_text(proposal, paint, needed=not ok), nl=False, color=color)
        if unassignable:
            click.echo("\nit does not help the device that cannot be assigned", nl=True)
    elif why_not and not ok:
        click.echo(f"\nno change of the command line helps: {why_not}")
    elif unassignable:
        click.echo("\nno change of the command line helps: the firmware keeps the device")
    if checked.left_out:
        click.echo(f"\nleft out to read the map: {', '.join(checked.left_out)}", err=True)


def _document(checked: _Checked, proposal: Repair | None, why_not: str) -> dict[str, Any]:
    return {
        "format": "guestmap/check",
        "version": 1,
        "ok": not exit_for(checked.findings),
        "source": checked.guest.source,
        "qemu": checked.guest.qemu,
        "machine": checked.guest.machine,
        "hosts": [host.name for host in checked.binding.hosts],
        "devices": list(checked.binding.devices),
        "left_out": list(checked.left_out),
        "findings": [finding.to_json() for finding in checked.findings],
        "fix": {"argv": list(proposal.argv), "changes": list(proposal.changes)}
        if proposal
        else None,
        "no_fix": why_not,
    }
