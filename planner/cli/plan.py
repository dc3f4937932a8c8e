"""``guestmap plan``: a layout and hosts → a plan."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from planner.cli import options
from planner.cli.exits import Command, Exit
from planner.cli.output import (
    exit_for,
    findings_lines,
    json_text,
    print_json,
    put,
    say,
    terminal_is_ascii,
)
from planner.cli.sources import read_bytes
from planner.documents.host import facts_sha256
from planner.documents.plan import FORMAT, VERSION, plan_json
from planner.draw.diagnostic import source_text
from planner.draw.paint import painter
from planner.draw.plan_text import plan_text
from planner.findings import Finding
from planner.host.profile import HostProfile, Scope
from planner.host.read import read_host
from planner.layout.load import load
from planner.layout.model import Layout
from planner.place.plan import Source, make_plan

__all__ = ["command"]


@click.command("plan", cls=Command)
@options.plan_file("layout")
@options.hosts("the layout's own hosts, else this host")
@options.scope("the layout's")
@options.output("the plan as JSON")
@options.json
@options.color
def command(
    layout: str,
    hosts: tuple[str, ...],
    scope: Scope | None,
    output: str | None,
    *,
    as_json: bool,
    color: bool,
) -> Exit:
    """Plan where a guest's memory goes, against what hosts forbid.

    \b
    Example:
      guestmap plan layouts/arm-guest-on-amd.yaml
      guestmap plan guest.yaml --host a.yaml --host b.yaml -o plan.json
    """
    loaded, noticed, sources = read_layout(layout)
    if loaded is None:
        return _unusable(noticed, sources, as_json=as_json, color=color)
    if scope:
        loaded = replace(loaded, reserve=scope)
    profiles, inputs = read_hosts(loaded, hosts)
    own = {f"layout:{loaded.name}": Source(layout, loaded.sha256)}
    plan = make_plan(loaded, profiles, own | inputs, noticed)
    document = plan_json(plan)
    if output and output != "-":
        put(json_text(document), output)
    if as_json or output == "-":
        print_json(document)
    else:
        say(*plan_text(plan, paint=painter(color=color), ascii_only=terminal_is_ascii()))
        if plan.findings:
            say("", *findings_lines(plan.findings, sources, color=color))
    return exit_for(plan.findings)


def _unusable(
    findings: list[Finding], sources: dict[str, str], *, as_json: bool, color: bool
) -> Exit:
    """Say what is wrong with a layout that cannot be planned at all."""
    if as_json:
        listed = [finding.to_json() for finding in findings]
        print_json({"format": FORMAT, "version": VERSION, "ok": False, "findings": listed})
    else:
        say(*findings_lines(findings, sources, color=color))
    return exit_for(findings)


def read_layout(path: str) -> tuple[Layout | None, list[Finding], dict[str, str]]:
    """Read a layout: what it says, what is wrong with it, and its text by name.

    :raise FailedError: the file cannot be read.
    """
    data, name = read_bytes(path)
    loaded, findings = load(data, name)
    return loaded, findings, {name: source_text(data)}


def read_hosts(
    layout: Layout, paths: tuple[str, ...]
) -> tuple[list[HostProfile], dict[str, Source]]:
    """Read the hosts to plan against, and the hash of each.

    :raise HostUnreadableError: one cannot be read.
    """
    folder = Path(layout.file).parent
    chosen = [Path(path) for path in paths] or [folder / path for path in layout.hosts]
    profiles: list[HostProfile] = []
    inputs: dict[str, Source] = {}
    for path in chosen or [Path("/sys")]:
        profile = read_host(path)
        profiles.append(profile)
        inputs[f"host:{profile.name}"] = Source(str(path), facts_sha256(profile))
    return profiles, inputs
