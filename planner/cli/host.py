"""``guestmap host``: what a host's IOMMUs forbid, and what they leave."""

from __future__ import annotations

from dataclasses import replace

import click

from planner.cli import options
from planner.cli.complete import files
from planner.cli.exits import Command, Exit
from planner.cli.output import exit_for, findings_lines, print_json, put, say
from planner.draw.paint import painter
from planner.host.profile import HostProfile, Scope
from planner.host.read import read_host
from planner.judge.host import judge_host
from planner.units import parse_page_size

__all__ = ["command"]


@click.command("host", cls=Command)
@click.argument("profile", required=False, type=click.Path(), shell_complete=files)
@click.option(
    "--sysfs",
    metavar="DIR",
    shell_complete=files,
    help="Read a copy of /sys instead of this host's.",
)
@click.option(
    "--address-bits",
    type=click.IntRange(1, 64),
    metavar="N",
    help="Width of the IOMMU's addresses, where sysfs does not tell (AMD, Arm).",
)
@options.device
@options.scope("by --device")
@click.option(
    "--doorbells",
    type=click.IntRange(0, 1 << 20),
    metavar="N",
    help="Number of MSI doorbells (ITS instances, GICv2m frames).",
)
@click.option(
    "--page-size",
    metavar="SIZE",
    type=options.Parsed("size", parse_page_size),
    help="Page size of the host's kernel.",
)
@options.output("a profile, for --host")
@options.json
@options.color
def command(
    *,
    profile: str | None,
    sysfs: str | None,
    address_bits: int | None,
    devices: tuple[str, ...],
    scope: Scope | None,
    doorbells: int | None,
    page_size: int | None,
    output: str | None,
    as_json: bool,
    color: bool,
) -> Exit:
    """Show what a host's IOMMUs forbid and what they leave, per group.

    Reads this host, a copied tree (--sysfs), or PROFILE: a profile file, or what
    `grep -H . /sys/kernel/iommu_groups/*/reserved_regions` printed.

    \b
    Example:
      guestmap host --device 0000:29:00.0
      guestmap host -o thishost.yaml
      guestmap host --sysfs copied/sys --address-bits 48 --json
    """
    if profile and sysfs:
        raise click.UsageError("give PROFILE or --sysfs, not both")
    if scope == Scope.ASSIGNED and not devices:
        raise click.UsageError("--scope assigned needs --device")
    if output == "-" and as_json:
        raise click.UsageError("--json and -o - would both write to stdout")
    host = read_host(profile or sysfs or "/sys")
    host = _told(host, address_bits, doorbells, page_size)
    chosen = scope or (Scope.ASSIGNED if devices else Scope.HOST)
    findings = judge_host(host, chosen, devices)
    if output:
        from planner.host.profile_text import write_profile  # noqa: PLC0415  # only when asked for

        put(write_profile(host), output)
    if as_json:
        from planner.documents.host import host_document  # noqa: PLC0415  # only what is asked for

        print_json(host_document(host, chosen, devices, findings))
    elif output != "-":
        from planner.draw.host_text import draw_host  # noqa: PLC0415

        say(*draw_host(host, chosen, devices, paint=painter(color=color)))
        if findings:
            say("", *findings_lines(findings, {}, color=color))
    return exit_for(findings)


def _told(
    host: HostProfile, address_bits: int | None, doorbells: int | None, page_bytes: int | None
) -> HostProfile:
    """Put what the user says over what was read; a width given holds for every group."""
    if address_bits is not None:
        groups = tuple(replace(group, address_bits=None) for group in host.groups)
        host = replace(host, address_bits=address_bits, groups=groups)
    if doorbells is not None:
        host = replace(host, doorbells=doorbells)
    if page_bytes is not None:
        host = replace(host, page_bytes=page_bytes)
    return host
