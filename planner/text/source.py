"""YAML text as a tree that remembers where everything stands and how it was spelled.

The only importer of yaml. Three things PyYAML's loaders do are not wanted here: typing scalars
(``01:00.0``, a PCI address, becomes the float 60.0), keeping the last of two equal keys, and
recursion (the C loader's composer overflows the stack on deep nesting). So only the event stream is
used, which is iterative, and the tree is built here: every scalar stays the text its author wrote.

Anchors, aliases, tags, merges, directives and second documents are refused: a layout needs none of
them, and each is a known way to make a small file mean something large or surprising.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from planner.findings import Finding
from planner.region import Loc
from planner.text.collect import Collector
from planner.text.decode import decode, loc_at
from planner.text.nesting import too_deep
from planner.text.yaml_errors import explain_error

__all__ = ["DEFAULT_LIMITS", "Limits", "Mapping", "Node", "Scalar", "Sequence", "read"]

# libyaml parses a megabyte in 0.1 s, the pure parser in ten; both give the same events.
_LOADER: type[yaml.BaseLoader | yaml.CBaseLoader] = getattr(yaml, "CBaseLoader", yaml.BaseLoader)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may be at most; past a limit it is refused with MM104."""

    max_bytes: int = 1 << 20
    #: Nested lists and mappings; a layout has 4. libyaml's cost per token grows with the depth.
    max_depth: int = 16
    #: Scalars, lists and mappings together: 11 000 regions. Bounds memory to some 50 MB.
    max_nodes: int = 100_000


DEFAULT_LIMITS = Limits()


class Scalar(NamedTuple):
    """A word, number or string: its text as spelled, quotes and escapes resolved.

    A tuple, because a file has tens of thousands.
    """

    text: str
    loc: Loc
    #: Line and column one past the last character.
    end: tuple[int, int]
    quoted: bool = False

    @property
    def end_loc(self) -> Loc:
        """The place one past the last character."""
        return Loc(self.loc.file, *self.end)

    @property
    def empty(self) -> bool:
        """Whether there is no value: nothing written, or YAML's null. Reported as MM109 already."""
        return not self.quoted and self.text in _NULLS


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys and values in the order written; of two equal keys the first is kept."""

    items: tuple[tuple[Scalar, Node], ...]
    loc: Loc


@dataclass(frozen=True, slots=True)
class Sequence:
    """A list."""

    items: tuple[Node, ...]
    loc: Loc


Node = Scalar | Mapping | Sequence

_NULLS = frozenset({"", "~", "null", "Null", "NULL"})


def read(
    data: bytes, file: str, limits: Limits = DEFAULT_LIMITS
) -> tuple[Node | None, list[Finding]]:
    """Read the bytes of a YAML file.

    :param file: the name to show.
    :return: the tree, or None when the text is not YAML this project takes, and what was found
        (MM101 to MM105 and MM109). With a tree there may still be findings of severity error.
    """
    found = Collector(file)
    if len(data) > limits.max_bytes:
        found.report(
            "MM104",
            Loc(file, 1, 1),
            f"the file has {len(data)} bytes; {limits.max_bytes} is the most",
            help="split the layout, or move host facts to a profile file of their own",
        )
        return None, found.findings()
    text = decode(data, found)
    if text is None:
        return None, found.findings()
    builder = _Builder(text, found, limits)
    root = builder.build()
    if isinstance(root, Scalar) and root.empty:
        root = None
    if root is None and not found.failed:
        empty = not any(line.strip() and line.lstrip()[0] != "#" for line in text.split("\n"))
        why = "the file holds only comments" if empty and "#" in text else "the file is empty"
        found.report("MM109", Loc(file, 1, 1), why, help="a layout starts with 'schema: 1'")
    return (None if builder.refused else root), found.findings()


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    loc: Loc
    is_mapping: bool
    #: True for a collection that stands where a key belongs; it is reported and dropped.
    as_key: bool
    #: Whether it stands between brackets.
    flow: bool
    items: list[Node] = field(default_factory=list)
    pairs: list[tuple[Scalar, Node]] = field(default_factory=list)
    key: Scalar | None = None
    #: Mapping only: the places of the keys met so far.
    seen: dict[str, Loc] = field(default_factory=dict)


class _Builder:
    """Turns events into nodes with a stack of its own, so that depth costs no recursion."""

    def __init__(self, text: str, found: Collector, limits: Limits) -> None:
        self._text = text
        self._lines = text.split("\n")
        self._found = found
        self._file = found.file
        self._limits = limits
        self._stack: list[_Open] = []
        self._root: Node | None = None
        self._nodes = 0
        self._documents = 0
        #: Where the last event ended: line and column from 0.
        self._told = (0, 0)
        #: True once something was met that makes the tree worthless.
        self.refused = False

    def build(self) -> Node | None:
        """Return the root node, or None when there is none or it was refused."""
        for number, line in enumerate(self._lines, 1):
            if line.startswith("%"):
                self._refuse_directive(Loc(self._file, number, 1))
                return None
            if line and not line.lstrip().startswith("#"):
                break
        try:
            for event in yaml.parse(self._text, Loader=_LOADER):
                if not self._take(event):
                    return None
                if event.end_mark is not None:
                    self._told = (event.end_mark.line, event.end_mark.column)
        except yaml.MarkedYAMLError as error:
            self.refused = True
            if error.problem_mark is not None and self._stopped_deep(error.problem_mark):
                return None
            self._found.add(explain_error(error, self._lines, self._file))
            return None
        except (yaml.YAMLError, ValueError) as error:
            # The reader's own complaints; decode() has met all known ones before.
            self.refused = True
            self._found.report("MM101", Loc(self._file, 1, 1), f"the file is not YAML: {error}")
            return None
        return None if self.refused else self._root

    def _take(self, event: yaml.Event) -> bool:
        """Take one event in; False ends the reading."""
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            return self._open(event)
        if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._close()
        elif isinstance(event, yaml.AliasEvent):
            if not self._counted(event):
                return False
            self._refuse(
                "an alias (*) stands for a value written elsewhere",
                self._loc(event),
                "write the value out",
            )
            loc = self._loc(event)
            self._place(Scalar("*", loc, (loc.line, loc.column), quoted=True))
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                self._refuse(
                    "a second document starts here; a file holds one",
                    self._loc(event),
                    "put each layout into a file of its own",
                )
                return False
        return True

    def _scalar(self, event: yaml.ScalarEvent) -> bool:
        if not self._counted(event):
            return False
        mark = event.end_mark
        assert mark is not None  # yaml.parse marks every event
        scalar = Scalar(
            event.value,
            self._loc(event),
            (mark.line + 1, mark.column + 1),
            quoted=event.style is not None and event.style != "",
        )
        self._properties(event)
        self._place(scalar)
        return True

    def _open(self, event: yaml.MappingStartEvent | yaml.SequenceStartEvent) -> bool:
        if not self._counted(event):
            return False
        loc = self._loc(event)
        if len(self._stack) >= self._limits.max_depth:
            self._too_deep(loc)
            return False
        self._properties(event)
        parent = self._stack[-1] if self._stack else None
        as_key = parent is not None and parent.is_mapping and parent.key is None
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        if as_key:
            what = "mapping" if is_mapping else "list"
            self._refuse(f"a {what} stands where a key belongs", loc, "keys are plain words")
        self._stack.append(_Open(loc, is_mapping, as_key, bool(event.flow_style)))
        return True

    def _stopped_deep(self, mark: yaml.Mark) -> bool:
        """Report brackets that nest too deep before the place the parser stopped at."""
        start, end = (
            sum(len(line) + 1 for line in self._lines[:line]) + column
            for line, column in (self._told, (mark.line, mark.column))
        )
        flow = bool(self._stack) and self._stack[-1].flow
        depth, most = len(self._stack), self._limits.max_depth
        index = too_deep(self._text, start, end, depth, most, flow=flow)
        if index is not None:
            self._too_deep(loc_at(self._text, index, self._file))
        return index is not None

    def _too_deep(self, loc: Loc) -> None:
        self.refused = True
        self._found.report(
            "MM104",
            loc,
            f"lists and mappings nest deeper than {self._limits.max_depth}",
            help="a layout nests four deep at most; look for brackets or dashes too many",
        )

    def _close(self) -> None:
        done = self._stack.pop()
        if done.as_key:
            self._stack[-1].key = Scalar(
                "?", done.loc, (done.loc.line, done.loc.column), quoted=True
            )
        elif done.is_mapping:
            self._place(Mapping(tuple(done.pairs), done.loc))
        else:
            self._place(Sequence(tuple(done.items), done.loc))

    def _place(self, node: Node) -> None:
        """Put a finished node where it belongs: key, value, item or root."""
        if not self._stack:
            self._root = node
            return
        top = self._stack[-1]
        if not top.is_mapping:
            if isinstance(node, Scalar) and node.empty:
                self._found.report(
                    "MM109",
                    node.loc,
                    "a list item is empty",
                    help="write a value or remove the '-'",
                )
            top.items.append(node)
        elif top.key is None:
            assert isinstance(node, Scalar)  # _open has turned collections away
            top.key = self._key(node)
        else:
            self._pair(top, top.key, node)
            top.key = None

    def _key(self, key: Scalar) -> Scalar:
        if key.empty:
            self._found.report(
                "MM109", key.loc, "the key before ':' is empty", help="write the key"
            )
        elif key.text == "<<" and not key.quoted:
            self._refuse("a merge (<<) takes in another mapping", key.loc, "write its keys out")
        return key

    def _pair(self, top: _Open, key: Scalar, value: Node) -> None:
        first = top.seen.get(key.text)
        if first is not None and not key.empty:
            self._found.report(
                "MM105",
                key.loc,
                f"the key '{key.text}' stands twice in one mapping",
                help="keep one of the two",
                also=((first, f"'{key.text}' stands here first"), (key.loc, "and here again")),
            )
            return
        top.seen[key.text] = key.loc
        if isinstance(value, Scalar) and value.empty:
            self._report_empty(key, value)
        top.pairs.append((key, value))

    def _report_empty(self, key: Scalar, value: Scalar) -> None:
        if value.text:
            self._found.report(
                "MM109",
                value.loc,
                f"'{key.text}' is {value.text}, which YAML reads as no value",
                help="write a value or remove the key",
            )
            return
        name, colon, rest = key.text.partition(":")
        if colon and rest and not key.quoted:
            # `{type:virt}`: without a space the colon belongs to the key.
            self._found.report(
                "MM109",
                key.loc,
                f"the key '{key.text}' has no value",
                help=f"put a space after the colon: '{name}: {rest.strip()}'",
            )
            return
        line = self._lines[key.end_loc.line - 1]
        colon_at = line.find(":", key.end_loc.column - 1)
        loc = Loc(self._file, key.end_loc.line, colon_at + 1) if colon_at >= 0 else key.loc
        self._found.report(
            "MM109", loc, f"'{key.text}' has no value", help="write a value or remove the key"
        )

    def _counted(self, event: yaml.Event) -> bool:
        self._nodes += 1
        if self._nodes <= self._limits.max_nodes:
            return True
        self.refused = True
        self._found.report(
            "MM104",
            self._loc(event),
            f"the file has more than {self._limits.max_nodes} values",
            help="split the layout",
        )
        return False

    def _properties(self, event: yaml.NodeEvent) -> None:
        """Refuse anchors and tags; the node itself is kept so that the rest is still read."""
        if event.anchor is not None:
            self._refuse(
                f"an anchor (&{event.anchor}) names a value for use elsewhere",
                self._loc(event),
                f"remove '&{event.anchor}'",
            )
        tag = getattr(event, "tag", None)
        if tag is not None:
            self._refuse(
                "a tag (!) asks for a type", self._loc(event), "remove it; fields know their types"
            )

    def _refuse(self, what: str, loc: Loc, help_text: str) -> None:
        self.refused = True
        self._found.report("MM103", loc, f"{what}, which guestmap does not take", help=help_text)

    def _refuse_directive(self, loc: Loc) -> None:
        self._refuse("a directive (%) changes how YAML is read", loc, "remove the line")

    def _loc(self, event: yaml.Event) -> Loc:
        mark = event.start_mark
        assert mark is not None  # yaml.parse marks every event
        return Loc(self._file, mark.line + 1, mark.column + 1)
