"""``guestmap check``: will a command line's devices attach, and if not, what to change."""

from __future__ import annotations

from typing import Any

import click

from planner.argv.split import ArgvError
from planner.cli import options
from planner.cli.exits import Command, Exit
from planner.cli.output import exit_for, findings_lines, print_json, say, tell
from planner.draw.check_text import repair_text
from planner.draw.paint import painter
from planner.host.read import read_host
from planner.place.check import Checked, binding_of, check
from planner.text.harmless import shell_line
from planner.units import show_size
from qmp_glue.argv import ArgvSource
from qmp_glue.errors import GlueError

__all__ = ["command"]


@click.command("check", cls=Command)
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
    source = ArgvSource.read(words, model=model)
    profiles = [read_host(path) for path in hosts or ("/sys",)]
    binding = binding_of(source.asked, profiles, devices)
    checked = check(source, binding, (ArgvError, GlueError))
    if fix:
        return _print_fix(checked)
    if as_json:
        print_json(_document(checked))
    else:
        _show(checked, color=color)
    return exit_for(checked.findings)


def _print_fix(checked: Checked[ArgvSource]) -> int:
    """Print a line that works; nothing on stdout when there is none."""
    if checked.lost:
        tell(*findings_lines(checked.lost, {}))
        if checked.no_fix:
            tell(f"no change helps: {checked.no_fix}")
        return Exit.FINDINGS
    say(shell_line((checked.mended or checked.source).line.argv))
    return Exit.OK


def _show(checked: Checked[ArgvSource], *, color: bool) -> None:
    paint = painter(color=color)
    guest, binding = checked.read.map, checked.binding
    devices = ", ".join(binding.devices) or "any device"
    hosts = ", ".join(host.name for host in binding.hosts)
    verdict = paint("fits", "ram") if checked.ok else paint("does not fit", "error")
    total = show_size(guest.ram().size)
    say(
        f"{guest.machine} {guest.qemu} ({guest.source}), {total} mapped for DMA,"
        f" {devices} on {hosts}: {verdict}"
    )
    if checked.findings:
        say("", *findings_lines(checked.findings, {}, color=color))
    if checked.repair and checked.mended:
        before, after = checked.source.line, checked.mended.line
        say("", *repair_text(checked.repair.words, before, after, paint, needed=not checked.ok))
        if checked.unassignable:
            say("", "it does not help the device that cannot be assigned")
    elif checked.no_fix and not checked.ok:
        say("", f"no change of the command line helps: {checked.no_fix}")
    elif checked.unassignable:
        say("", "no change of the command line helps: the firmware keeps the device")
    if checked.read.left_out:
        tell("", f"left out to read the map: {', '.join(checked.read.left_out)}")


def _document(checked: Checked[ArgvSource]) -> dict[str, Any]:
    guest, fix = checked.read.map, None
    if checked.repair and checked.mended:
        fix = {"argv": list(checked.mended.line.argv), "changes": list(checked.repair.words)}
    return {
        "format": "guestmap/check",
        "version": 1,
        "ok": checked.ok,
        "source": guest.source,
        "qemu": guest.qemu,
        "machine": guest.machine,
        "hosts": [host.name for host in checked.binding.hosts],
        "devices": list(checked.binding.devices),
        "left_out": list(checked.read.left_out),
        "findings": [finding.to_json() for finding in checked.findings],
        "fix": fix,
        "no_fix": checked.no_fix,
    }
