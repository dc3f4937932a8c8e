"""``guestmap new``: a layout to start from, for this host, or from a QEMU."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from planner.cli import options
from planner.cli.exits import Command, Exit
from planner.cli.output import put, say, tell
from planner.findings import Severity
from planner.host.profile import HostProfile
from planner.host.read import HostUnreadableError, read_host
from planner.layout.draft import Draft, candidates, draft_of, write_draft
from planner.layout.load import load
from planner.machine.family import QEMU_FAMILIES, native_family
from planner.units import parse_size

if TYPE_CHECKING:
    from qmp_glue.addresses import MonitorAddress

__all__ = ["command"]

#: What a layout takes for a name; QEMU's -name takes more.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*\Z")


_SIZE = options.Parsed("size", parse_size)


@click.command("new", cls=Command)
@options.words("argv")
@click.option("--name", metavar="NAME", help="The guest's name. Default: QEMU's, else guest.")
@click.option(
    "--machine", type=click.Choice(QEMU_FAMILIES), help="Machine type. Default: the host's."
)
@click.option("--version", "version", default="", metavar="N.N", help="QEMU version.")
@click.option("--memory", type=_SIZE, metavar="SIZE", help="Memory at launch. Default: 4GiB.")
@click.option("--max", "ceiling", type=_SIZE, metavar="SIZE", help="Ceiling for hotplug.")
@options.device
@options.host()
@click.option("--list", "listing", is_flag=True, help="List the host's devices and end.")
@click.option(
    "--from", "from_argv", is_flag=True, help="Take what the QEMU command line after -- asks for."
)
@options.qmp("--from-qmp")
@options.output("a file, which must not exist yet")
def command(
    argv: tuple[str, ...],
    *,
    name: str | None,
    machine: str | None,
    version: str,
    memory: int | None,
    ceiling: int | None,
    devices: tuple[str, ...],
    host: str | None,
    listing: bool,
    from_argv: bool,
    qmp: MonitorAddress | None,
    output: str | None,
) -> Exit:
    """Write a layout to start from, with comments.

    \b
    Example:
      guestmap new --list
      guestmap new --device 29:00.0 --memory 8GiB -o guest.yaml
      guestmap new --from -- qemu-system-aarch64 -M virt-7.2 -m 4G
      guestmap new --qmp unix:/run/vm/qmp.sock
    """
    if bool(argv) != from_argv:
        raise click.UsageError("--from and a command line after -- go together")
    if from_argv and qmp is not None:
        raise click.UsageError("--from and --qmp exclude each other")
    profile = _profile(host)
    if listing:
        return _list(profile)
    if from_argv:
        draft = _from_argv(argv, name or "guest")
    elif qmp is not None:
        draft = _from_qmp(qmp, name)
    else:
        kind = machine or native_family(platform.machine())
        draft = Draft(
            name or "guest", kind, memory or 4 << 30, source=f"A {kind} guest to start from."
        )
    draft = replace(
        draft,
        machine=machine or draft.machine,
        version=version or draft.version,
        memory_bytes=memory or draft.memory_bytes,
        max_bytes=ceiling if ceiling is not None else draft.max_bytes,
        devices=devices or draft.devices,
        hosts=(_beside(host, output),) if host else (),
    )
    text = write_draft(draft, profile)
    errors = [found for found in load(text.encode(), "")[1] if found.severity is Severity.ERROR]
    if errors:
        raise click.UsageError("; ".join(error.message for error in errors[:3]))
    put(text, output or "-", in_the_way="name another file")
    return Exit.OK


def _beside(host: str, output: str | None) -> str:
    """Return a profile's path as a layout in *output* must name it."""
    if output in (None, "-") or Path(host).is_absolute():
        return host
    return os.path.relpath(host, Path(output or "").parent)


def _profile(host: str | None) -> HostProfile | None:
    try:
        return read_host(host or "/sys")
    except HostUnreadableError:
        if host:
            raise
        return None


def _list(profile: HostProfile | None) -> Exit:
    listed = candidates(profile) if profile else []
    for device, group, against in listed:
        found = next(member for member in group.devices if member.name == device)
        about = " ".join(filter(None, (found.class_code, found.vendor, found.device, found.driver)))
        note = f"  ({against})" if against else ""
        say(f"{device:<14} group {group.id:<4} {about}".rstrip() + note)
    if not listed:
        tell("no devices in IOMMU groups; is the IOMMU on?")
    return Exit.OK


def _from_argv(argv: tuple[str, ...], name: str, what: str = "the command line") -> Draft:
    """Take over what a command line says.

    :raise UsageError: it cannot be read, or asks for what the tables do not know.
    """
    from planner.argv.split import ArgvError  # noqa: PLC0415
    from planner.machine.request import MachineRefusedError, NotModelledError  # noqa: PLC0415
    from qmp_glue.argv import ArgvSource  # noqa: PLC0415  # only with --from

    try:
        asked = ArgvSource.read(argv).asked
        return draft_of(asked, name, f"From the command line of {Path(argv[0]).name}.")
    except (ArgvError, MachineRefusedError, NotModelledError) as error:
        raise click.UsageError(f"{what} cannot be taken over: {error}") from error


def _from_qmp(address: MonitorAddress, name: str | None) -> Draft:
    """Take over what a running QEMU has.

    :raise GlueError: nobody answers there.
    :raise NotModelledError: it has what the tables do not know.
    """
    from qmp_glue.recount import recount  # noqa: PLC0415  # only with --qmp

    told = recount(address)
    own = told.name if _NAME.match(told.name) else ""
    draft = _from_argv(told.argv, name or own or "guest", "QEMU")
    return replace(
        draft,
        memory_bytes=draft.memory_bytes + told.plugged,
        source=f"From a running QEMU {told.qemu}.",
        remarks=(*draft.remarks, *told.remarks),
    )
