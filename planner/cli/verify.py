"""``guestmap verify``: a plan against the real map of a QEMU."""

from __future__ import annotations

from collections.abc import Callable

import click

from planner.cli import options
from planner.cli.exits import Command
from planner.cli.output import exit_for, findings_lines, print_json, say
from planner.cli.planfile import OpenPlan, open_plan
from planner.findings import Finding
from qmp_glue.addresses import MonitorAddress
from qmp_glue.apply import Planned, verify_plan
from qmp_glue.onlining import verify_pieces

__all__ = ["command", "plan_target", "report"]


def plan_target(path: str) -> tuple[OpenPlan, Planned]:
    """Open a plan for work on a QEMU.

    :raise FailedError: it cannot be used.
    """
    opened = open_plan(path)
    plan = opened.document
    return opened, Planned(opened.request, opened.guest, plan.forbidden, plan.reported_doorbell)


def report(
    opened: OpenPlan,
    work: Callable[[], list[Finding]],
    fine: str,
    *,
    as_json: bool,
    color: bool,
) -> int:
    """Do the work unless the plan is stale, and say what was found.

    :raise GlueError: QEMU cannot be reached.
    """
    findings = list(opened.findings)
    if not exit_for(findings):
        findings += work()
    findings.sort(key=Finding.urgency)
    code = exit_for(findings)
    if as_json:
        print_json(
            {
                "format": "guestmap/report",
                "version": 1,
                "ok": not code,
                "findings": [finding.to_json() for finding in findings],
            }
        )
        return code
    say(*findings_lines(findings, {}, color=color), *([] if code else [fine]))
    return code


@click.command("verify", cls=Command)
@options.plan_file()
@options.qmp(required=True)
@options.agent
@options.json
@options.color
def command(
    plan: str, qmp: MonitorAddress, agent: MonitorAddress | None, *, as_json: bool, color: bool
) -> int:
    """Compare the real map of a QEMU, paused or running, with a plan.

    With the guest's agent also what the guest makes of it: memory that is offline or absent there.

    \b
    Example:
      guestmap verify plan.json --qmp unix:vm.sock
      guestmap verify plan.json --qmp unix:vm.sock --agent agent.sock
    """
    opened, target = plan_target(plan)

    def work() -> list[Finding]:
        found = verify_plan(target, qmp, asked=agent is not None)
        return found + (verify_pieces(target.request, qmp, agent) if agent else [])

    return report(
        opened,
        work,
        "verified: QEMU's real map is the plan's"
        + (", and the guest uses its memory" if agent else ""),
        as_json=as_json,
        color=color,
    )
