"""``guestmap map``: the memory map of a QEMU command line, or of a running QEMU."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from planner.cli import options
from planner.cli.exits import Command, Exit
from planner.cli.output import print_json, say, tell
from planner.documents.map import map_json
from planner.draw.map_text import map_text
from planner.draw.paint import painter
from planner.machine.asked import MapRead

if TYPE_CHECKING:
    from qmp_glue.addresses import MonitorAddress

__all__ = ["command"]


@click.command("map", cls=Command)
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
    if qmp is not None:
        from qmp_glue.live import live_map  # noqa: PLC0415  # only for this source

        read = MapRead(live_map(qmp))
    else:
        from qmp_glue.argv import ArgvSource  # noqa: PLC0415  # as above

        source = ArgvSource.read(words, model=model)
        read = replace(source, qemu=qemu_version, seconds=timeout).read_map()
    tell(*(f"QEMU says: {warning}" for warning in read.warnings))
    if as_json:
        print_json(map_json(read.map, read.left_out))
    else:
        say(*map_text(read.map, read.left_out, painter(color=color)))
    return Exit.OK
