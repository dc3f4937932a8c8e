"""``guestmap fmt``: layouts and host profiles in their canonical form, comments kept."""

from __future__ import annotations

import difflib

import click

from planner.cli.complete import files
from planner.cli.exits import Command, Exit
from planner.cli.output import print_document, say, show_findings, tell
from planner.cli.sources import STDIN, judge_text, read_bytes, table_of
from planner.draw.diagnostic import source_text
from planner.findings import Severity
from planner.text.canonical import canonical
from planner.text.write import write_file

__all__ = ["command"]


@click.command("fmt", cls=Command)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", shell_complete=files)
@click.option("-w", "--write", is_flag=True, help="Change the files instead of printing.")
@click.option("--check", is_flag=True, help="Only say which would change; exit with 1 if any.")
@click.option("--diff", is_flag=True, help="Print what would change as a unified diff.")
def command(files: tuple[str, ...], *, write: bool, check: bool, diff: bool) -> Exit:
    """Write layouts and host profiles in their canonical form.

    Keys come in the order of the reference, PCI addresses in full and in quotes, each entry on one
    line where it fits. Comments stay with what they were written beside or above. A file with
    errors is not touched; its findings are shown.

    \b
    Example:
      guestmap fmt guest.yaml
      guestmap fmt --write layouts/*.yaml
      guestmap fmt - < guest.yaml
    """
    if write and (check or diff):
        raise click.UsageError("--write changes files, --check and --diff do not; give one")
    result = Exit.OK
    for path in dict.fromkeys(files):
        data, name = read_bytes(path)
        findings, _ = judge_text(data, name)
        if errors := [f for f in findings if f.severity is Severity.ERROR]:
            show_findings(errors, {name: source_text(data)})
            result = Exit.FINDINGS
            continue
        text = canonical(data, table_of(data))
        changed = text.encode() != data
        if check or diff:
            result = Exit.FINDINGS if changed else result
            if changed:
                print_document(_diff(source_text(data), text, name)) if diff else say(name)
        elif write and name != STDIN:
            if changed:
                write_file(path, text)
                tell(name)
        else:
            print_document(text)
    return result


def _diff(before: str, after: str, name: str) -> str:
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), name, name
    )
    return "".join(lines)
