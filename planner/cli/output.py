"""What every command shares: exit codes, JSON, colour, and how failures end."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from planner.cli.exits import Exit, ReachError, UnreadableError
from planner.findings import Finding, Severity, worst

__all__ = ["Exit", "ReachError", "UnreadableError", "exit_for"]


def wants_color(choice: str) -> bool:
    """Decide about colour: the option, then NO_COLOR, FORCE_COLOR, TERM and the terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON document, keys in the order given, one newline at the end."""
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))


def exit_for(findings: Iterable[Finding]) -> Exit:
    """Return 1 when a finding is an error, else 0."""
    return Exit.FINDINGS if worst(findings) is Severity.ERROR else Exit.OK


def terminal_is_ascii() -> bool:
    """Say whether standard output cannot carry the drawing characters."""
    encoding = sys.stdout.encoding or "ascii"
    try:
        "█▒◆░…".encode(encoding)
    except UnicodeEncodeError:
        return True
    return False


def findings_text(
    findings: Iterable[Finding], sources: Mapping[str, str], *, color: bool = False
) -> str:
    """Write findings in full, a blank line between them."""
    from planner.draw.diagnostic import render  # noqa: PLC0415  # only when there are findings
    from planner.draw.paint import painter  # noqa: PLC0415

    paint, ascii_only = painter(color=color), terminal_is_ascii()
    return "\n".join(
        render(finding, sources, paint=paint, ascii=ascii_only) for finding in findings
    )


def show_findings(findings: Iterable[Finding], sources: Mapping[str, str]) -> None:
    """Write findings to standard error: they are not the answer that was asked for."""
    click.echo(findings_text(findings, sources, color=sys.stderr.isatty()), err=True, nl=False)
