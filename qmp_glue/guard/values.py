"""JSON values as QEMU reads and writes them.

Numbers keep what QEMU would make of them: an integer is a Python ``int``; everything that QEMU
reads through ``strtod`` is a :class:`Spelled`, a float that remembers its text, because the text
may say more than Python prints (``1e400`` is infinite, and no JSON can say that again).

Rendering does not recurse: QEMU takes messages 1024 levels deep, more than Python's own encoder.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Self

__all__ = ["Json", "Spelled", "error_reply", "is_plain", "qemu_text", "reply_bytes", "wire_bytes"]

#: ``dict`` with ``str`` keys, ``list``, ``str``, ``int``, :class:`Spelled`, ``bool`` or None.
Json = Any

_INT64_MIN, _UINT64_MAX = -(1 << 63), (1 << 64) - 1
_SHORT_ESCAPES = {
    '"': '\\"',
    "\\": "\\\\",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
}
_NEEDS_ESCAPE = re.compile(r"[^\x20-\x21\x23-\x5b\x5d-\x7e]")


class Spelled(float):
    """A number that QEMU holds as a double, with the text it was written in."""

    __slots__ = ("text",)

    #: The JSON text as the client wrote it.
    text: str

    def __new__(cls, text: str) -> Self:
        """Make the number from its JSON text."""
        made = super().__new__(cls, text)
        made.text = text
        return made

    def __repr__(self) -> str:
        return f"Spelled({self.text!r})"


def is_plain(value: Json) -> bool:
    """Say whether Python's encoder writes *value* without loss: shallow, no :class:`Spelled`."""
    todo = [(value, 0)]
    while todo:
        item, depth = todo.pop()
        if isinstance(item, float) or depth > 200:
            return False
        if isinstance(item, dict):
            todo += [(each, depth + 1) for each in item.values()]
        elif isinstance(item, list):
            todo += [(each, depth + 1) for each in item]
    return True


def wire_bytes(value: Json) -> bytes:
    """Return *value* as the one line that goes to QEMU: ASCII, numbers as they were spelled."""
    if is_plain(value):
        return json.dumps(value, separators=(",", ":")).encode("ascii") + b"\n"
    return (_render(value, json.dumps, _spelling, ",", ":") + "\n").encode("ascii")


def qemu_text(value: Json) -> str:
    """Return *value* as QEMU would write it in a reply (qobject/json-writer.c, qnum.c; 7.2)."""
    return _render(value, _qemu_string, _qemu_number, ", ", ": ")


def reply_bytes(reply: dict[str, Json]) -> bytes:
    """Return a reply of the guard's own as QEMU would send it, line end included."""
    return qemu_text(reply).encode("ascii") + b"\r\n"


def error_reply(desc: str, command: Json = None, *, kind: str = "GenericError") -> bytes:
    """Return the reply that refuses *command*, with its id when it has one.

    QEMU writes the members of a reply in the order of its hash table: the id before the error.
    """
    reply: dict[str, Json] = {}
    if isinstance(command, dict) and "id" in command:
        reply["id"] = command["id"]
    return reply_bytes(reply | {"error": {"class": kind, "desc": desc}})


def _spelling(number: float) -> str:
    return number.text if isinstance(number, Spelled) else _decimal(number)


def _decimal(number: float) -> str:
    return str(number) if isinstance(number, int) else repr(number)


def _qemu_number(number: float) -> str:
    """Write an integer of up to 64 bits as such, the rest with 17 digits (``qnum_to_string``)."""
    if isinstance(number, int) and _INT64_MIN <= number <= _UINT64_MAX:
        return str(number)
    try:
        return f"{float(number):.17g}"
    except OverflowError:
        return "inf" if number > 0 else "-inf"


def _qemu_string(text: str) -> str:
    return f'"{_NEEDS_ESCAPE.sub(_escaped, text)}"'


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    if char in _SHORT_ESCAPES:
        return _SHORT_ESCAPES[char]
    point = ord(char)
    if point > 0xFFFF:
        high, low = divmod(point - 0x10000, 0x400)
        return f"\\u{0xD800 + high:04X}\\u{0xDC00 + low:04X}"
    return f"\\u{point:04X}"


def _render(
    root: Json,
    string: Callable[[str], str],
    number: Callable[[float], str],
    comma: str,
    colon: str,
) -> str:
    """Write *root* with the given spellings, without recursion."""
    out: list[str] = []
    # Each open container: the iterator over what is left of it, and the text that closes it.
    stack: list[tuple[Iterator[tuple[str, Json]], str]] = []
    prefix, value = "", root
    while True:
        out.append(prefix)
        if isinstance(value, dict):
            out.append("{")
            stack.append((((string(k) + colon, v) for k, v in value.items()), "}"))
            prefix = ""
        elif isinstance(value, list):
            out.append("[")
            stack.append(((("", v) for v in value), "]"))
            prefix = ""
        else:
            out.append(_scalar(value, string, number))
            prefix = comma
        while stack:
            following = next(stack[-1][0], None)
            if following is not None:
                prefix, value = prefix + following[0], following[1]
                break
            out.append(stack.pop()[1])
            prefix = comma
        else:
            return "".join(out)


def _scalar(value: Json, string: Callable[[str], str], number: Callable[[float], str]) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return string(value) if isinstance(value, str) else number(value)
