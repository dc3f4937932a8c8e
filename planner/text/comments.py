"""The comments of a YAML file: what stands behind a ``#`` that is no part of a value."""

from __future__ import annotations

import re
from collections.abc import Iterator

from planner.text.source import Node, Scalar, Sequence

__all__ = ["comments", "inner_lines"]


def comments(text: str, root: Node | None) -> Iterator[tuple[int, int, str]]:
    """Yield every comment as (line, column, text), counted from 1, the text with its ``#``.

    A ``#`` starts a comment at the start of a line or after a space, and never inside a scalar.
    """
    lines = text.split("\n")
    inside: dict[int, list[tuple[int, int]]] = {}
    for scalar in _scalars(root):
        # What follows the bar of a block on its line is a comment.
        block = lines[scalar.loc.line - 1][scalar.loc.column - 1 :][:1] in ("|", ">")
        for line in range(scalar.loc.line + block, scalar.end_loc.line + 1):
            start = scalar.loc.column if line == scalar.loc.line else 1
            end = scalar.end_loc.column if line == scalar.end_loc.line else 1 << 30
            inside.setdefault(line, []).append((start, end))
    for number, line_text in enumerate(lines, 1):
        for match in re.finditer(r"(?:^|(?<=[ \t]))#", line_text):
            column = match.start() + 1
            if not any(start <= column < end for start, end in inside.get(number, ())):
                yield number, column, line_text[match.start() :].rstrip()
                break


def inner_lines(root: Node | None) -> set[int]:
    """Return the lines that begin inside a value: blank ones among them are part of its text."""
    return {
        line
        for scalar in _scalars(root)
        for line in range(scalar.loc.line + 1, scalar.end_loc.line + (scalar.end_loc.column > 1))
    }


def _scalars(root: Node | None) -> Iterator[Scalar]:
    todo: list[Node] = [root] if root is not None else []
    while todo:
        node = todo.pop()
        if isinstance(node, Scalar):
            yield node
        elif isinstance(node, Sequence):
            todo.extend(node.items)
        else:
            for key, value in node.items:
                todo += (key, value)
