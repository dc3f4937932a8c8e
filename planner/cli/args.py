"""``guestmap args``: a plan → QEMU's command line."""

from __future__ import annotations

import click

from planner.argv.write import Emission, emit_argv
from planner.cli import options
from planner.cli.complete import files
from planner.cli.exits import Command, FailedError
from planner.cli.output import exit_for, print_json, say, show_findings, tell
from planner.cli.planfile import open_plan
from planner.text.harmless import shell_line

__all__ = ["command"]


@click.command("args", cls=Command)
@options.plan_file()
@click.option("--program", default="", metavar="QEMU", help="Program to name.")
@click.option(
    "--firmware",
    default="",
    metavar="FILE",
    shell_complete=files,
    help="Firmware image for -bios.",
)
@options.no_reserve
@click.option(
    "--without-pieces",
    is_flag=True,
    help="Leave out the pieces of memory, for 'guestmap apply' to plug into the paused guest.",
)
@options.json
def command(
    plan: str,
    program: str,
    firmware: str,
    *,
    no_reserve: bool,
    without_pieces: bool,
    as_json: bool,
) -> int:
    """Print the QEMU command line of a plan: the machine and its memory.

    \b
    Example:
      guestmap plan guest.yaml -o plan.json
      eval "$(guestmap args plan.json) -S -nodefaults"
    """
    opened = open_plan(plan)
    show_findings(opened.findings, {})
    if exit_for(opened.findings):
        return exit_for(opened.findings)
    if opened.wants_firmware and not firmware:
        raise FailedError("the plan's pieces are DIMMs, which this board has with --firmware only")
    request = opened.request
    emission = Emission(program, firmware, reserve=not no_reserve, pieces=not without_pieces)
    argv = emit_argv(request, emission, opened.document.reported_doorbell)
    if opened.document.parameter:
        tell(f"note: the guest's kernel needs {opened.document.parameter}; with -kernel: -append")
    if not opened.document.ok:
        tell("note: this plan has errors, see 'guestmap plan'")
    if as_json:
        print_json({"format": "guestmap/args", "version": 1, "argv": argv})
    else:
        say(shell_line(argv))
    return 0
