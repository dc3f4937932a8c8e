"""The fields of a profile's mappings: each read knows its kind and says where a value is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from typing import TypeVar

from planner.region import Loc
from planner.text.collect import Collector
from planner.text.source import Mapping, Node, Scalar
from planner.text.source import Sequence as ListNode
from planner.units import UnitError, parse_address, parse_size

__all__ = ["Fields"]

_T = TypeVar("_T")


class Fields:
    """One mapping's values by key."""

    def __init__(self, nodes: dict[str, Node], loc: Loc, what: str, found: Collector) -> None:
        """Hold the nodes; :meth:`of` is the way to make one."""
        self._nodes = nodes
        self.loc = loc
        self._what = what
        self._found = found

    @classmethod
    def of(
        cls, node: Node | None, what: str, found: Collector, keys: Sequence[str]
    ) -> Fields | None:
        """Take a mapping's fields; None when it is no mapping, which is reported.

        :param what: how a message names the mapping.
        :param keys: the keys it may have; others are reported and dropped.
        """
        if node is None:
            return None
        if not isinstance(node, Mapping):
            if not (isinstance(node, Scalar) and node.empty):
                kind = "a list" if isinstance(node, ListNode) else "a value"
                found.report("MM108", node.loc, f"{what} is {kind} and should be a mapping")
            return None
        nodes: dict[str, Node] = {}
        for key, value in node.items:
            if key.text in keys:
                nodes[key.text] = value
            else:
                near = get_close_matches(key.text, keys, 1)
                hint = f"did you mean '{near[0]}'? " if near else ""
                found.report(
                    "MM106",
                    key.loc,
                    f"{what} has no key '{key.text}'",
                    help=f"{hint}keys are {', '.join(keys)}",
                )
        return cls(nodes, node.loc, what, found)

    def empty(self) -> Fields:
        """Return fields without any value, for a mapping that is absent."""
        return Fields({}, self.loc, self._what, self._found)

    def has(self, key: str) -> bool:
        """Say whether the key is there, with or without a value."""
        return key in self._nodes

    def node(self, key: str) -> Node | None:
        """Return the value's node, None when the key is absent."""
        return self._nodes.get(key)

    def scalar(self, key: str) -> Scalar | None:
        """Return a single value; None when it is absent, empty, or no single value."""
        node = self._nodes.get(key)
        if node is None:
            return None
        if not isinstance(node, Scalar):
            kind = "list" if isinstance(node, ListNode) else "mapping"
            self._found.report("MM108", node.loc, f"'{key}' is a {kind} and should be a value")
            del self._nodes[key]
            return None
        return None if node.empty else node

    def required(self, key: str) -> Scalar | None:
        """Return a single value; its absence is reported."""
        if key not in self._nodes:
            self._found.report("MM107", self.loc, f"{self._what} has no '{key}'")
        return self.scalar(key)

    def list(self, key: str) -> tuple[Node, ...]:
        """Return a list's items, none when it is absent."""
        node = self._nodes.get(key)
        if isinstance(node, ListNode):
            return node.items
        if node is not None and not (isinstance(node, Scalar) and node.empty):
            self._found.report("MM108", node.loc, f"'{key}' should be a list")
        return ()

    def text(self, key: str) -> str:
        """Return a value's text, empty when it is absent."""
        node = self.scalar(key)
        return node.text if node else ""

    def choice(self, key: str, words: Sequence[str]) -> str:
        """Return one of *words*, empty when it is absent or none of them."""
        node = self.scalar(key)
        if node is None or node.text in words:
            return node.text if node else ""
        near = get_close_matches(node.text, words, 1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        self._found.report(
            "MM111",
            node.loc,
            f"'{node.text}' is no value of '{key}'",
            help=f"{hint}values are {', '.join(words)}",
        )
        return ""

    def flag(self, key: str) -> bool | None:
        """Return true or false, None when it is absent."""
        word = self.choice(key, ("true", "false"))
        return word == "true" if word else None

    def number(self, key: str, least: int, most: int) -> int | None:
        """Return a count between *least* and *most*, None when it is absent."""

        def read(text: str) -> int:
            value = parse_size(text)
            if not least <= value <= most:
                raise UnitError(f"'{text}' is not between {least} and {most}")
            return value

        return self._parsed(key, read)

    def address(self, key: str) -> int | None:
        """Return an address in bytes, None when it is absent."""
        return self._parsed(key, parse_address)

    def page_size(self, key: str) -> int | None:
        """Return a page size in bytes, None when it is absent."""

        def read(text: str) -> int:
            return checked_page(parse_size(text), text)

        return self._parsed(key, read)

    def _parsed(self, key: str, read: Callable[[str], _T]) -> _T | None:
        node = self.scalar(key)
        if node is None:
            return None
        try:
            return read(node.text)
        except UnitError as error:
            self._found.report("MM110", node.loc, f"'{key}': {error}")
            return None


def checked_page(size: int, text: str) -> int:
    """Return *size* when a kernel can have such pages.

    :raise UnitError: it is no power of two from 4 KiB to 64 KiB.
    """
    if size not in (4096, 8192, 16384, 32768, 65536):
        raise UnitError(f"'{text}' is no page size of Linux; pages have 4KiB, 16KiB or 64KiB")
    return size
