"""The grammar half of QEMU's JSON parser: tokens to a value, or the words of its refusal.

After qobject/json-parser.c and util/unicode.c (QEMU 7.2); the tokens come from
:mod:`qmp_glue.guard.wire`. Does not recurse.
"""

from __future__ import annotations

import re
from typing import Final

from qmp_glue.guard.values import Json, Spelled

__all__ = ["BadTextError", "parse_tokens", "printable"]

#: First byte of a token: the structural character itself, a quote, ``0`` or ``a``.
_OPEN_OBJECT, _CLOSE_OBJECT, _OPEN_LIST, _CLOSE_LIST, _COLON, _COMMA = b"{}[]:,"
_NUMBER, _WORD = b"0a"
_QUOTES = frozenset(b"\"'")
_WORDS: Final = {b"true": True, b"false": False, b"null": None}
#: QEMU formats a parse error into a buffer of this size, terminator included.
_MESSAGE_BYTES: Final = 1024
#: Digits that Python converts without a limit of its own; longer ones are doubles to QEMU anyway.
_INT_DIGITS: Final = 64
_SIMPLE = {
    0x22: '"',
    0x27: "'",
    0x5C: "\\",
    0x2F: "/",
    0x62: "\b",
    0x66: "\f",
    0x6E: "\n",
    0x72: "\r",
    0x74: "\t",
}
_HEX4 = re.compile(rb"[0-9a-fA-F]{4}")
_MIN_POINT = (0, 0, 0x80, 0x800, 0x10000, 0x200000, 0x4000000)


class BadTextError(ValueError):
    """QEMU refuses the text; the message is what follows ``JSON parse error,``."""


class _Frame:
    """An open object or list."""

    __slots__ = ("items", "key", "members")

    def __init__(self, members: dict[str, Json] | None, items: list[Json] | None) -> None:
        self.members = members
        self.items = items
        #: The key whose value is being read; None while a key is awaited.
        self.key: str | None = None


def parse_tokens(tokens: list[tuple[int, bytes]]) -> Json:
    """Return the first value in *tokens*; what follows it is ignored, as QEMU does.

    :raise BadTextError: there is none.
    """
    stack: list[_Frame] = []
    at = 0

    def take() -> tuple[int, bytes]:
        nonlocal at
        if at == len(tokens):
            raise BadTextError("premature EOI")
        at += 1
        return tokens[at - 1]

    while True:
        kind, text = take()
        if kind in {_OPEN_OBJECT, _OPEN_LIST}:
            frame = _Frame({}, None) if kind == _OPEN_OBJECT else _Frame(None, [])
            close = _CLOSE_OBJECT if kind == _OPEN_OBJECT else _CLOSE_LIST
            if take()[0] != close:
                at -= 1
                stack.append(frame)
                continue
            value: Json = {} if kind == _OPEN_OBJECT else []
        else:
            value = _literal(kind, text)
        while stack:
            frame = stack[-1]
            if frame.items is not None:
                frame.items.append(value)
                if not _ends(take()[0], _CLOSE_LIST, "list"):
                    break
                value = stack.pop().items
            elif frame.key is None:
                _begin_member(frame, value, take()[0])
                break
            else:
                _end_member(frame, value)
                if not _ends(take()[0], _CLOSE_OBJECT, "dict"):
                    break
                value = stack.pop().members
        else:
            return value


def _ends(kind: int, close: int, container: str) -> bool:
    if kind not in {close, _COMMA}:
        raise BadTextError(f"expected separator in {container}")
    return kind == close


def _begin_member(frame: _Frame, key: Json, separator: int) -> None:
    if not isinstance(key, str):
        raise BadTextError("key is not a string in object")
    if separator != _COLON:
        raise BadTextError("missing : in object pair")
    frame.key = key


def _end_member(frame: _Frame, value: Json) -> None:
    assert frame.members is not None
    assert frame.key is not None
    if frame.key in frame.members:
        raise BadTextError("duplicate key")
    frame.members[frame.key] = value
    frame.key = None


def _literal(kind: int, text: bytes) -> Json:
    if kind in _QUOTES:
        return _string(text)
    if kind == _NUMBER:
        plain = text.decode("ascii")
        if len(plain) <= _INT_DIGITS and plain.lstrip("-").isdigit():
            return int(plain)
        return Spelled(plain)
    if kind == _WORD:
        if text in _WORDS:
            return _WORDS[text]
        word = text.decode("ascii")
        raise BadTextError(f"invalid keyword '{word}'"[: _MESSAGE_BYTES - 1])
    raise BadTextError("expecting value")


def _string(token: bytes) -> str:
    """Decode a quoted token: escapes, and modified UTF-8 (``c0 80`` is U+0000)."""
    body = token[1:-1]
    if b"\\" not in body and body.isascii():
        return body.decode("ascii")
    out: list[str] = []
    at, end = 1, len(token) - 1
    while at < end:
        if token[at] != 0x5C:
            point, at = _code_point(token, at)
            if point < 0:
                raise BadTextError("invalid UTF-8 sequence in string")
            out.append(chr(point))
            continue
        escape = token[at + 1]
        if escape in _SIMPLE:
            out.append(_SIMPLE[escape])
            at += 2
        elif escape == 0x75:
            char, at = _unicode_escape(token, at)
            out.append(char)
        else:
            raise BadTextError("invalid escape sequence in string")
    return "".join(out)


def _unicode_escape(token: bytes, start: int) -> tuple[str, int]:
    at = start + 6
    point = _hex4(token, start + 2)
    if 0xD800 <= point <= 0xDBFF and token[at : at + 2] == b"\\u":
        trailing = _hex4(token, at + 2)
        if 0xDC00 <= trailing <= 0xDFFF:
            point = 0x10000 + ((point & 0x3FF) << 10 | trailing & 0x3FF)
            at += 6
        else:
            point = -1
    if not _is_character(point):
        shown = printable(token[start:at])
        raise BadTextError(f"{shown} is not a valid Unicode character")
    return chr(point), at


def _hex4(token: bytes, at: int) -> int:
    found = _HEX4.match(token, at)
    return int(found[0], 16) if found else -1


def _is_character(point: int) -> bool:
    """No surrogates, no noncharacters, nothing past U+10FFFF."""
    return (
        0 <= point <= 0x10FFFF
        and not 0xD800 <= point <= 0xDFFF
        and not 0xFDD0 <= point <= 0xFDEF
        and point & 0xFFFE != 0xFFFE
    )


def _code_point(text: bytes, at: int) -> tuple[int, int]:
    """Return the code point at *at* and where the next begins; -1 for bytes that are none."""
    first = text[at]
    if first < 0x80:
        return first, at + 1
    if first >= 0xFE or first < 0xC0:
        return -1, at + 1
    size = 8 - (first ^ 0xFF).bit_length()
    point = first & ((1 << (7 - size)) - 1)
    for following in range(at + 1, at + size):
        if following >= len(text) or text[following] & 0xC0 != 0x80:
            return -1, following
        point = point << 6 | text[following] & 0x3F
    overlong = point < _MIN_POINT[size] and not (point == 0 and size == 2)
    return (point if _is_character(point) and not overlong else -1), at + size


def printable(text: bytes) -> str:
    """Return *text* as QEMU shows it in an error: up to a NUL, bad sequences as U+FFFD."""
    text = text.partition(b"\0")[0]
    out: list[str] = []
    at = 0
    while at < len(text):
        point, at = _code_point(text, at)
        out.append(chr(point) if point >= 0 else "\ufffd")
    return "".join(out)
