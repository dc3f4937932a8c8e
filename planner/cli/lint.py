"""``guestmap lint``: everything that is wrong with layouts and host profiles, at once."""

from __future__ import annotations

import sys
from collections.abc import Mapping

import click

from planner.cli import options
from planner.cli.complete import files
from planner.cli.exits import Command, Exit
from planner.cli.output import exit_for, findings_lines, print_json, say, tell
from planner.cli.sources import judge_text, read_bytes
from planner.draw.diagnostic import render_concise, render_github, source_text, summary
from planner.findings import About, Finding, Severity
from planner.layout.silence import apply_silence

__all__ = ["command"]

FORMATS = ("full", "concise", "json", "github", "sarif")
#: No host is read here, so only the text's and the layout's own families are judged.
JUDGED = ("MM1", "MM2")


@click.command("lint", cls=Command)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=files)
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="full",
    show_default=True,
    help="How findings are written.",
)
@click.option("--strict", is_flag=True, help="Exit with 1 for warnings too.")
@options.json
@options.color
def command(files: tuple[str, ...], form: str, *, strict: bool, as_json: bool, color: bool) -> Exit:
    """Say what is wrong with layouts and host profiles.

    Reads every FILE (- is standard input) and reports everything at once: first mistakes of the
    text, then of its shape, then of its meaning. Says nothing when nothing is wrong.

    \b
    Example:
      guestmap lint layouts/*.yaml
      guestmap lint --format sarif guest.yaml > findings.sarif
    """
    findings: list[Finding] = []
    sources: dict[str, str] = {}
    for path in dict.fromkeys(files):
        data, name = read_bytes(path)
        sources[name] = source_text(data)
        found, silencers = judge_text(data, name)
        findings += sorted(apply_silence(found, silencers, judged=JUDGED), key=_place)
    _print(findings, sources, "json" if as_json else form, color=color)
    if sys.stderr.isatty():
        plural = "s" if len(sources) != 1 else ""
        tell(f"{len(sources)} file{plural}, {summary(findings)}")
    if strict and any(finding.severity is Severity.WARNING for finding in findings):
        return Exit.FINDINGS
    return exit_for(findings)


def _place(finding: Finding) -> tuple[bool, int, int]:
    """Order by place; how many more there are stays last."""
    loc = finding.loc
    return (finding.about is About.COUNT, loc.line if loc else 0, loc.column if loc else 0)


def _print(findings: list[Finding], sources: Mapping[str, str], form: str, *, color: bool) -> None:
    if form == "json":
        print_json(
            {
                "format": "guestmap/lint",
                "version": 1,
                "files": list(sources),
                "findings": [finding.to_json() for finding in findings],
            }
        )
    elif form == "sarif":
        from planner.draw.sarif import sarif  # noqa: PLC0415  # only for this format

        print_json(sarif(findings))
    elif form == "full":
        say(*findings_lines(findings, sources, color=color))
    else:
        line = render_concise if form == "concise" else render_github
        say(*map(line, findings))
