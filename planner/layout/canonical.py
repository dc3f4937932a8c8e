"""A layout in its canonical form: one order of keys, one spelling of values, comments kept.

Written from the same table that reads it. A comment on a line of its own belongs to what follows
it, one at the end of a line to what starts on that line; both move with it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from planner.layout.schema import LAYOUT
from planner.text.fields import Field, Items, Record
from planner.text.pci import device_name
from planner.text.source import Mapping, Node, Scalar, comments, read
from planner.text.values import Address, Device, Size, Text

__all__ = ["canonical", "spell"]

#: A line longer than this is broken into block style.
_WIDTH = 100

#: Text no YAML version reads as anything but text.
_PLAIN = re.compile(r"[A-Za-z/$](?:[A-Za-z0-9_./+=,@$-]| (?=[A-Za-z0-9]))*\Z")
_PLAIN_IN_FLOW = re.compile(r"[A-Za-z/$](?:[A-Za-z0-9_./+=@$-]| (?=[A-Za-z0-9]))*\Z")
_TYPED = frozenset(["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"])


@dataclass(slots=True)
class _Entry:
    """A key with its value, or an item of a list; the root is an entry without a key."""

    key: str
    line: int
    #: The scalar's canonical spelling, None for a collection.
    text: str | None = None
    is_list: bool = False
    children: list[_Entry] = field(default_factory=list)
    #: Comments on lines of their own above it; an empty text is a blank line.
    above: list[str] = field(default_factory=list)
    beside: str = ""

    @property
    def commented(self) -> bool:
        """Whether something below it has a comment, which only block style can carry."""
        return any(child.beside or any(child.above) or child.commented for child in self.children)


def canonical(data: bytes) -> str:
    """Return the canonical form of a layout that loads without errors.

    :param data: the file's bytes; what is wrong in them is the loader's to say.
    """
    text = data.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    root, _ = read(data, "")
    if root is None:
        return text
    tree = _entry("", root, LAYOUT, 1)
    head, foot = _attach(text, root, tree)
    lines = [*head]
    for child in tree.children:
        lines += _block(child, 0)
    return "\n".join(_tidy([*lines, *foot])) + "\n"


def spell(text: str, *, in_flow: bool = True) -> str:
    """Return text as a YAML scalar that every version of YAML reads as this text."""
    plain = _PLAIN_IN_FLOW if in_flow else _PLAIN
    if plain.match(text) and text.lower() not in _TYPED:
        return text
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    number = ord(character)
    for letter, digits in (("x", 2), ("u", 4)):
        if number < 1 << 4 * digits:
            return f"\\{letter}{number:0{digits}x}"
    return f"\\U{number:08x}"


def _entry(key: str, node: Node, kind: object, line: int) -> _Entry:
    if isinstance(node, Scalar):
        return _Entry(key, line, text=_scalar(node.text, kind))
    if isinstance(node, Mapping):
        order: dict[str, Field] = (
            {known.key: known for known in kind.fields} if isinstance(kind, Record) else {}
        )
        pairs = sorted(
            node.items,
            key=lambda pair: list(order).index(pair[0].text) if pair[0].text in order else 0,
        )
        children = [
            _entry(
                name.text,
                value,
                order[name.text].type if name.text in order else Text(),
                name.loc.line,
            )
            for name, value in pairs
        ]
        return _Entry(key, line, children=children)
    item = kind.item if isinstance(kind, Items) else Text()
    children = [_entry("", child, item, child.loc.line) for child in node.items]
    return _Entry(key, line, is_list=True, children=children)


def _scalar(text: str, kind: object) -> str:
    if isinstance(kind, (Address, Size)):
        plain = text.replace(" ", "")
        return plain.lower() if plain.startswith("0x") else plain
    if isinstance(kind, Device):
        # Quoted always: 01:00.0 is a number to YAML 1.1.
        return f'"{device_name(text)}"'
    if isinstance(kind, Text):
        return spell(text)
    return text


def _attach(text: str, root: Node, tree: _Entry) -> tuple[list[str], list[str]]:
    """Give every comment and blank line to its entry; return those before all and after all."""
    listed = sorted(_walk(tree), key=lambda entry: entry.line)
    first = listed[0].line if listed else 1 << 30
    head: list[str] = []
    foot: list[str] = []
    own: list[tuple[int, str]] = []
    lines = text.split("\n")
    for number, column, comment in comments(text, root):
        if lines[number - 1][: column - 1].strip():
            starts = [entry for entry in listed if entry.line == number]
            before = [entry for entry in listed if entry.line < number]
            # The outermost that starts here; a closing bracket belongs to what was open.
            (starts[0] if starts else before[-1] if before else tree).beside = comment
        else:
            own.append((number, comment))
    own += [(number, "") for number, line in enumerate(lines, 1) if not line.strip()]
    last_blank = max((n for n, comment in own if not comment and n < first), default=0)
    for number, comment in sorted(own):
        if number < first and number <= last_blank:
            head.append(comment)
            continue
        following = next((entry for entry in listed if entry.line > number), None)
        (foot if following is None else following.above).append(comment)
    return head, foot


def _walk(entry: _Entry) -> Iterator[_Entry]:
    for child in entry.children:
        yield child
        yield from _walk(child)


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
    one_line = f"{space}{start} {_flow(entry)}"
    long_list = entry.is_list and any(child.children for child in entry.children)
    fits = len(one_line) <= _WIDTH and not (long_list and len(entry.children) > 1)
    if entry.text is not None or not entry.children or (fits and not entry.commented):
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
