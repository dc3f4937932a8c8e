"""A file in its canonical form: one order of keys, one spelling of values, comments kept.

Written from the same table that reads it. A comment on a line of its own belongs to what follows
it, one at the end of a line to what starts on that line; both move with it.
"""

from __future__ import annotations

import sys
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from planner.region import Loc
from planner.text.comments import comments, inner_lines
from planner.text.decode import unix
from planner.text.fields import Items, Record
from planner.text.source import Limits, Mapping, Node, Scalar, Sequence, read
from planner.text.spelling import spell
from planner.text.values import Single, Text, Type

__all__ = ["canonical", "write"]

#: A line longer than this is broken into block style.
_WIDTH = 100
#: Whoever loaded the file has asked the limits.
_ANY_SIZE = Limits(max_bytes=sys.maxsize, max_nodes=sys.maxsize)


@dataclass(slots=True)
class _Entry:
    """A key with its value, or an item of a list; the root is an entry without a key."""

    key: str
    line: int
    #: The scalar's canonical spelling, of several lines for a literal block; None for a collection.
    text: str | None = None
    is_list: bool = False
    spread: bool = False
    children: list[_Entry] = field(default_factory=list)
    #: Comments on lines of their own above it; an empty text is a blank line.
    above: list[str] = field(default_factory=list)
    beside: str = ""

    @property
    def flows(self) -> bool:
        """Whether one line may hold it: only block style can carry comments and blocks."""
        if self.text is not None:
            return "\n" not in self.text
        if not self.children:
            return True
        if self.spread or (self.is_list and len(self.children) > 1 and self.nests):
            return False
        return not any(
            child.beside or any(child.above) or not child.flows for child in self.children
        )

    @property
    def nests(self) -> bool:
        """Whether a child has children: a list of such has each on a line of its own."""
        return any(child.children for child in self.children)


def canonical(data: bytes, table: Record) -> str:
    """Return the canonical form of a file that loads without errors.

    :param data: the file's bytes; what is wrong in them is the loader's to say.
    """
    text = unix(data.removeprefix(b"\xef\xbb\xbf").decode("utf-8"))
    root, _ = read(data, "", _ANY_SIZE)
    if root is None:
        return text
    tree = _entry("", root, table, 1)
    head, foot = _attach(text, root, tree)
    return _lines(head, tree, foot)


def write(values: dict[str, Any], table: Record, head: str = "") -> str:
    """Return the canonical text of a file.

    :param values: dicts, lists and the texts of values, as spelled; the writer quotes them.
    :param head: comment lines to begin with.
    """
    return _lines(head.splitlines(), _entry("", _node(values), table, 1), [])


def _node(value: Any) -> Node:
    nowhere = Loc("", 1, 1)
    if isinstance(value, dict):
        pairs = tuple((Scalar(key, nowhere, (1, 1)), _node(each)) for key, each in value.items())
        return Mapping(pairs, nowhere)
    if isinstance(value, list):
        return Sequence(tuple(map(_node, value)), nowhere)
    return Scalar(value, nowhere, (1, 1))


def _entry(key: str, node: Node, kind: Type, line: int) -> _Entry:
    if isinstance(node, Scalar):
        alone = kind.key_types[kind.short] if isinstance(kind, Record) and kind.short else kind
        text = alone.spell(node.text) if isinstance(alone, Single) else spell(node.text)
        return _Entry(key, line, text=text)
    spread = isinstance(kind, (Items, Record)) and kind.spread
    if isinstance(node, Mapping):
        types = kind.key_types if isinstance(kind, Record) else {}
        order = {name: number for number, name in enumerate(types)}
        pairs = sorted(node.items, key=lambda pair: order.get(pair[0].text, 0))
        children = [
            _entry(name.text, value, types.get(name.text, Text()), name.loc.line)
            for name, value in pairs
        ]
        return _Entry(key, line, children=children, spread=spread)
    item = kind.item if isinstance(kind, Items) else Text()
    children = [_entry("", child, item, child.loc.line) for child in node.items]
    return _Entry(key, line, is_list=True, children=children, spread=spread)


def _attach(text: str, root: Node, tree: _Entry) -> tuple[list[str], list[str]]:
    """Give every comment and blank line to its entry; return those before all and after all."""
    listed = sorted(_walk(tree), key=lambda entry: entry.line)
    at = [entry.line for entry in listed]
    first = at[0] if at else 1 << 30
    head: list[str] = []
    foot: list[str] = []
    own: list[tuple[int, str]] = []
    lines = text.split("\n")
    for number, column, comment in comments(text, root):
        if lines[number - 1][: column - 1].strip():
            # The outermost that starts here; a closing bracket belongs to what was open.
            index = bisect_left(at, number)
            starts = index < len(at) and at[index] == number
            (listed[index if starts else index - 1] if starts or index else tree).beside = comment
        else:
            own.append((number, comment))
    inner = inner_lines(root)
    own += [
        (number, "")
        for number, line in enumerate(lines, 1)
        if not line.strip() and number not in inner
    ]
    last_blank = max((n for n, comment in own if not comment and n < first), default=0)
    for number, comment in sorted(own):
        if number < first and number <= last_blank:
            head.append(comment)
            continue
        index = bisect_right(at, number)
        (foot if index == len(at) else listed[index].above).append(comment)
    return head, foot


def _walk(entry: _Entry) -> Iterator[_Entry]:
    for child in entry.children:
        yield child
        yield from _walk(child)


def _lines(head: list[str], tree: _Entry, foot: list[str]) -> str:
    lines = list(head)
    for child in tree.children:
        lines += _block(child, 0)
    return "\n".join(_tidy([*lines, *foot])) + "\n"


def _tidy(lines: list[str]) -> list[str]:
    """Collapse blank lines, and drop those at either end."""
    kept: list[str] = []
    for line in lines:
        if line or (kept and kept[-1]):
            kept.append(line)
    while kept and not kept[-1]:
        kept.pop()
    return kept


def _flow(entry: _Entry) -> str:
    if entry.text is not None:
        return entry.text
    inside = ", ".join(
        f"{spell(child.key)}: {_flow(child)}" if child.key else _flow(child)
        for child in entry.children
    )
    return f"[{inside}]" if entry.is_list else f"{{{inside}}}"


def _block(entry: _Entry, indent: int) -> list[str]:
    """Return the lines of an entry: on one line where it fits, else one line a child."""
    space = " " * indent
    lines = [space + comment if comment else "" for comment in entry.above]
    start = f"{spell(entry.key)}:" if entry.key else "-"
    beside = f"  {entry.beside}" if entry.beside else ""
    if entry.text is not None and "\n" in entry.text:
        # One line to whoever tidies blank lines: those of a block are text.
        header, *content = entry.text.split("\n")
        block = [f"{space}  {line}" if line else "" for line in content]
        return [*lines, "\n".join([f"{space}{start} {header}{beside}", *block])]
    if entry.flows:
        one_line = f"{space}{start} {_flow(entry)}"
        if len(one_line) <= _WIDTH or not entry.children:
            return [*lines, one_line + beside]
    if entry.key:
        lines.append(f"{space}{start}{beside}")
        for child in entry.children:
            lines += _block(child, indent + 2)
        return lines
    # An item that is a mapping in block style: its first key stands beside the dash.
    inner: list[str] = []
    for child in entry.children:
        inner += _block(child, indent + 2)
    at = next(index for index, line in enumerate(inner) if line and line.lstrip()[0] != "#")
    lines += [line[2:] for line in inner[:at]]
    if beside:
        lines.append(f"{space}{entry.beside}")
    return [*lines, f"{space}- {inner[at][indent + 2 :]}", *inner[at + 1 :]]
