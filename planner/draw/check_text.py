"""A proposed command line for people: a diff by option, then the whole line."""

from __future__ import annotations

import shlex
from difflib import unified_diff

from planner.draw.paint import Paint
from planner.place.repair import Repair

__all__ = ["repair_text"]


def repair_text(found: Repair, paint: Paint, *, needed: bool) -> str:
    """Write the change as a diff with one option a line, and the line to run.

    :param paint: colours a text by style name.
    :param needed: whether the line fails without the change.
    """
    lines = [
        ("this works: " if needed else "this avoids the warnings: ") + "; ".join(found.changes),
        "",
    ]
    for line in unified_diff(found.before, found.after, lineterm="", n=1):
        if line.startswith(("---", "+++", "@@")):
            continue
        style = {"-": "error", "+": "ram"}.get(line[0], "dim")
        lines.append(paint(line, style))
    return "\n".join([*lines, "", shlex.join(found.argv)]) + "\n"
