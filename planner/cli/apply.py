"""``guestmap apply``: a plan → a paused QEMU, over QMP."""

from __future__ import annotations

import click

from planner.cli import options
from planner.cli.exits import Command
from planner.cli.verify import plan_target, report
from qmp_glue.addresses import MonitorAddress
from qmp_glue.apply import apply_plan
from qmp_glue.onlining import online_pieces

__all__ = ["command"]


@click.command("apply", cls=Command)
@options.plan_file()
@options.qmp(required=True, reading=False)
@options.agent
@options.no_reserve
@options.json
@options.color
def command(
    plan: str,
    qmp: MonitorAddress,
    agent: MonitorAddress | None,
    *,
    no_reserve: bool,
    as_json: bool,
    color: bool,
) -> int:
    """Plug the plan's pieces of memory into a paused QEMU, then verify.

    With the guest's agent nothing is plugged: the running guest is told to bring them online.

    \b
    Example:
      $(guestmap args plan.json --without-pieces) -S -qmp unix:vm.sock,server=on,wait=off &
      guestmap apply plan.json --qmp unix:vm.sock
      guestmap apply plan.json --qmp unix:vm.sock --agent agent.sock
    """
    opened, target = plan_target(plan)
    if agent:
        socket = agent
        return report(
            opened,
            lambda: online_pieces(target.request, qmp, socket),
            "applied: the guest has all of the plan's memory online",
            as_json=as_json,
            color=color,
        )
    return report(
        opened,
        lambda: apply_plan(target, qmp, reserve=not no_reserve),
        "applied: QEMU's real map is the plan's",
        as_json=as_json,
        color=color,
    )
