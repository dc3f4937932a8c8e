"""``guestmap apply``: a plan → a paused QEMU, over QMP."""

from __future__ import annotations

import click

from planner.cli.complete import files
from planner.cli.output import color_option, json_option
from planner.cli.verify import plan_target, qmp_option, report
from qmp_glue.apply import apply_plan

__all__ = ["command"]


@click.command(name="apply")
@click.argument("plan", type=click.Path(dir_okay=False, allow_dash=True), shell_complete=files)
@qmp_option
@click.option("--no-reserve", is_flag=True, help="Take memory from the host only when it is used.")
@json_option
@color_option
def command(plan: str, qmp: str, *, no_reserve: bool, as_json: bool, color: bool) -> int:
    """Plug the plan's pieces of memory into a paused QEMU, then verify.

    \b
    Example:
      $(guestmap args plan.json --without-pieces) -S -qmp unix:vm.sock,server=on,wait=off &
      guestmap apply plan.json --qmp unix:vm.sock
    """
    opened, target = plan_target(plan)
    return report(
        opened,
        lambda: apply_plan(target, qmp, reserve=not no_reserve),
        "applied: QEMU's real map is the plan's",
        as_json=as_json,
        color=color,
    )
