"""``guestmap plan``: a layout and hosts → a plan."""

from __future__ import annotations

import json
from pathlib import Path

import click

from planner.cli.output import (
    Exit,
    UnreadableError,
    color_option,
    exit_for,
    findings_text,
    json_option,
    painter,
    print_json,
    show_findings,
    terminal_is_ascii,
)
from planner.document import plan_json
from planner.draw.plan_text import plan_text
from planner.host.document import facts_sha256
from planner.host.profile import HostProfile, Scope
from planner.host.read import HostUnreadableError, read_host
from planner.layout.load import load
from planner.layout.model import Layout
from planner.plan import Source, make_plan

__all__ = ["command"]


@click.command(name="plan", context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("layout", type=click.Path(dir_okay=False))
@click.option(
    "--host",
    "hosts",
    multiple=True,
    metavar="PROFILE",
    help="Host profile, pasted dump or sysfs tree; repeat it for every host the guest may run on."
    " Default: the layout's own hosts, else this host.",
)
@click.option(
    "--scope",
    type=click.Choice([scope.value for scope in Scope]),
    help="Which host regions bind: those of the devices named, or all. Default: the layout's.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False), help="Write the plan as JSON to a file."
)
@json_option
@color_option
def command(
    layout: str,
    hosts: tuple[str, ...],
    scope: str | None,
    output: str | None,
    *,
    as_json: bool,
    color: bool,
) -> Exit:
    r"""Plan where a guest's memory goes, against what hosts forbid.

    \b
    Example:
      guestmap plan layouts/arm-guest-on-amd.yaml
      guestmap plan guest.yaml --host a.yaml --host b.yaml -o plan.json
    """
    loaded, text = read_layout(layout)
    if scope:
        from dataclasses import replace  # noqa: PLC0415

        loaded = replace(loaded, reserve=Scope(scope))
    profiles, inputs = read_hosts(loaded, hosts)
    plan = make_plan(
        loaded, profiles, {f"layout:{loaded.name}": Source(layout, loaded.sha256), **inputs}
    )
    document = plan_json(plan)
    if output:
        Path(output).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    if as_json:
        print_json(document)
    else:
        click.echo(
            plan_text(plan, paint=painter(color=color), ascii_only=terminal_is_ascii()),
            nl=False,
            color=color,
        )
        if plan.findings:
            click.echo("\n" + findings_text(plan.findings, {layout: text}, color=color), nl=False)
    return exit_for(plan.findings)


def read_layout(path: str) -> tuple[Layout, str]:
    """Read a layout; its findings go to the user when it cannot be used.

    :raise UnreadableError: the file cannot be read.
    :raise SystemExit: the layout has errors, which have been shown.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}") from error
    loaded, findings = load(data, path)
    text = data.decode("utf-8", errors="replace")
    if findings:
        show_findings(findings, {path: text})
    if loaded is None:
        raise SystemExit(Exit.FINDINGS)
    return loaded, text


def read_hosts(
    layout: Layout, paths: tuple[str, ...]
) -> tuple[list[HostProfile], dict[str, Source]]:
    """Read the hosts to plan against, and the hash of each.

    :raise UnreadableError: one cannot be read.
    """
    folder = Path(layout.file).parent
    chosen = [Path(path) for path in paths] or [folder / path for path in layout.hosts]
    profiles: list[HostProfile] = []
    inputs: dict[str, Source] = {}
    for path in chosen or [Path("/sys")]:
        try:
            profile = read_host(path)
        except HostUnreadableError as error:
            raise UnreadableError(str(error)) from error
        profiles.append(profile)
        inputs[f"host:{profile.name}"] = Source(str(path), facts_sha256(profile))
    return profiles, inputs
