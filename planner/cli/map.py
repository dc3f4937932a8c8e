"""``guestmap map``: the memory map of a QEMU command line, or of a running QEMU."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from planner.argv.split import ArgvError
from planner.cli import options
from planner.cli.exits import Exit, ReachError, UnreadableError
from planner.cli.output import print_json
from planner.documents.map import map_json
from planner.draw.map_text import map_text
from planner.draw.paint import painter
from planner.machine.registry import for_type
from planner.machine.request import MachineRefusedError, NotModelledError
from planner.region import GuestMap

if TYPE_CHECKING:
    from qmp_glue.addresses import MonitorAddress

__all__ = ["command", "live", "modelled", "probed"]


@click.command("map")
@click.option("--probe", is_flag=True, help="Start the program paused and read its map (default).")
@options.model
@options.qmp()
@click.option(
    "--qemu-version",
    metavar="VERSION",
    default="",
    help="With --model: the version of the program. Default: the newest in the tables.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    metavar="SECONDS",
    help="With --probe: how long the program may take to answer.",
)
@options.json
@options.color
@options.words()
def command(
    words: tuple[str, ...],
    qmp: MonitorAddress | None,
    qemu_version: str,
    timeout: float,
    *,
    probe: bool,
    model: bool,
    as_json: bool,
    color: bool,
) -> int:
    """Show where everything is in a guest's address space.

    A probe starts the program paused, without disks, networks and devices, and ends it at once;
    what it leaves out is named. The model starts nothing and knows virt, q35 and pc.

    \b
    Example:
      guestmap map -- qemu-system-aarch64 -M virt -m 4G
      guestmap map --model --json -- qemu-system-x86_64 -M q35 -m 4G
      guestmap map --qmp unix:/run/vm/qmp.sock
    """
    if probe + model + (qmp is not None) > 1:
        raise click.UsageError("--probe, --model and --qmp exclude each other")
    if (qmp is not None) == bool(words):
        raise click.UsageError("give a QEMU command line after --, or --qmp and an address")
    left_out: tuple[str, ...] = ()
    if qmp is not None:
        found = live(qmp)
    elif model:
        found = modelled(words, qemu_version)
    else:
        found, left_out = probed(words, timeout)
    if as_json:
        print_json(map_json(found, left_out))
    else:
        click.echo(map_text(found, left_out, painter(color=color)), color=color)
    return Exit.OK


def _with_help(message: str, help_text: str) -> str:
    return f"{message}\n  = help: {help_text}" if help_text else message


def live(address: MonitorAddress) -> GuestMap:
    """Read the map of a running QEMU; failures end the command."""
    from qmp_glue.errors import GlueError  # noqa: PLC0415  # only for this source
    from qmp_glue.live import live_map  # noqa: PLC0415

    try:
        return live_map(address)
    except GlueError as error:
        raise ReachError(_with_help(error.message, error.help)) from error


def probed(words: tuple[str, ...], seconds: float) -> tuple[GuestMap, tuple[str, ...]]:
    """Probe a command line: its map, and what was left out; failures end the command."""
    from qmp_glue.errors import GlueError  # noqa: PLC0415  # only for this source
    from qmp_glue.probe import probe  # noqa: PLC0415

    try:
        result = probe(words, seconds)
    except ArgvError as error:
        raise UnreadableError(str(error)) from error
    except GlueError as error:
        raise ReachError(_with_help(error.message, error.help)) from error
    for warning in result.warnings:
        click.echo(f"QEMU says: {warning}", err=True)
    return result.map, result.left_out


def modelled(words: tuple[str, ...], qemu: str) -> GuestMap:
    """Build a command line's map from the tables; failures end the command."""
    from qmp_glue.probe import read_argv  # noqa: PLC0415  # brings the monitor's modules along

    try:
        request = read_argv(words).request(qemu)
        return for_type(request.type).build(request)
    except ArgvError as error:
        raise UnreadableError(str(error)) from error
    except NotModelledError as error:
        raise UnreadableError(
            _with_help(f"not modelled: {error}", "use --probe, which asks the program itself")
        ) from error
    except MachineRefusedError as error:
        raise UnreadableError(
            _with_help(f"QEMU would refuse this: {error.message}", error.help)
        ) from error
