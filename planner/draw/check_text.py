"""A proposed command line for people: a diff by option, then the whole line."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import unified_diff

from planner.argv.line import CommandLine
from planner.draw.paint import Paint
from planner.text.harmless import shell_line

__all__ = ["repair_text"]


def repair_text(
    changes: Sequence[str],
    before: CommandLine,
    after: CommandLine,
    paint: Paint,
    *,
    needed: bool,
) -> list[str]:
    """Write the change as a diff with one option a line, and the line to run.

    :param changes: what changes, in words.
    :param paint: colours a text by style name.
    :param needed: whether the line fails without the change.
    """
    lines = [
        ("this works: " if needed else "this avoids the warnings: ") + "; ".join(changes),
        "",
    ]
    for line in unified_diff(
        list(map(str, before.options)), list(map(str, after.options)), lineterm="", n=1
    ):
        if line.startswith(("---", "+++", "@@")):
            continue
        style = {"-": "error", "+": "ram"}.get(line[0], "dim")
        lines.append(paint(line, style))
    return [*lines, "", shell_line(after.argv)]
