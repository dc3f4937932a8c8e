"""``guestmap apply``: a plan → a paused QEMU, over QMP."""

from __future__ import annotations

import click

from planner.cli import options
from planner.cli.exits import Command
from planner.cli.verify import plan_target, report
from qmp_glue.addresses import MonitorAddress
from qmp_glue.apply import apply_plan

__all__ = ["command"]


@click.command("apply", cls=Command)
@options.plan_file()
@options.qmp(required=True, reading=False)
@options.no_reserve
@options.json
@options.color
def command(plan: str, qmp: MonitorAddress, *, no_reserve: bool, as_json: bool, color: bool) -> int:
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
