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
@options.json
@options.color
def command(plan: str, qmp: MonitorAddress, *, as_json: bool, color: bool) -> int:
    """Compare the real map of a QEMU, paused or running, with a plan.

    \b
    Example:
      guestmap verify plan.json --qmp unix:vm.sock
    """
    opened, target = plan_target(plan)
    return report(
        opened,
        lambda: verify_plan(target, qmp),
        "verified: QEMU's real map is the plan's",
        as_json=as_json,
        color=color,
    )
