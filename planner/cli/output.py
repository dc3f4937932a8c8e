"""What is printed: the one place where text leaves for a terminal, a pipe or a file.

Whatever came from outside is made harmless here, line by line; only colours of our own pass.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from planner.cli.exits import Exit
from planner.draw.paint import painter, shown
from planner.findings import Finding, Severity, worst
from planner.text.harmless import harmless_json
from planner.text.write import write_file

__all__ = [
    "exit_for",
    "findings_lines",
    "json_text",
    "print_document",
    "print_json",
    "put",
    "say",
    "show_findings",
    "tell",
    "terminal_is_ascii",
    "wants_color",
]


def wants_color(choice: str) -> bool:
    """Decide about colour: the option, then NO_COLOR, FORCE_COLOR, TERM and the terminal."""
    if choice != "auto":
        return choice == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("FORCE_COLOR"):
        return True
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def _shown(line: str, encoding: str | None) -> str:
    """Make a line fit to be shown, a line break in it too."""
    encoding = encoding or "utf-8"
    return shown(line).encode(encoding, "backslashreplace").decode(encoding)


def say(*lines: str) -> None:
    """Print lines on standard output: the answer."""
    encoding = sys.stdout.encoding
    text = "".join(f"{_shown(line, encoding)}\n" for line in lines)
    click.echo(text, nl=False, color=True)


def tell(*lines: str) -> None:
    """Print lines on standard error: all that is not the answer. Nobody may be listening there."""
    encoding = sys.stderr.encoding
    with contextlib.suppress(OSError):
        for line in lines:
            click.echo(_shown(line, encoding), err=True, color=True)


def print_document(text: str) -> None:
    """Print a text in a language of its own: as it is, but harmless on a terminal."""
    if sys.stdout.isatty():
        say(*text.removesuffix("\n").split("\n"))
    else:
        click.echo(text, nl=False)


def json_text(document: dict[str, Any]) -> str:
    """Write a JSON document, keys in the order given, one newline at the end."""
    return harmless_json(json.dumps(document, indent=2, ensure_ascii=False)) + "\n"


def print_json(document: dict[str, Any]) -> None:
    """Print one JSON document."""
    text = json_text(document)
    if terminal_is_ascii():
        text = json.dumps(document, indent=2) + "\n"
    click.echo(text, nl=False)


def put(text: str, output: str, *, in_the_way: str = "") -> None:
    """Write a document to a file, or print it where *output* is ``-``.

    :param in_the_way: as for :func:`write_file`.
    :raise FileError: the file cannot be written.
    """
    if output == "-":
        print_document(text)
    else:
        write_file(output, text, in_the_way=in_the_way)


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


def findings_lines(
    findings: Iterable[Finding], sources: Mapping[str, str], *, color: bool = False
) -> list[str]:
    """Return findings in full, an empty line between them."""
    from planner.draw.diagnostic import render  # noqa: PLC0415  # only when there are findings

    paint = painter(color=color)
    lines: list[str] = []
    for finding in findings:
        lines += [*([""] if lines else []), *render(finding, sources, paint)]
    return lines


def show_findings(findings: Iterable[Finding], sources: Mapping[str, str]) -> None:
    """Write findings to standard error: they are not the answer that was asked for."""
    tell(*findings_lines(findings, sources, color=sys.stderr.isatty()))
