"""Bytes to QMP messages, both ways.

Client to QEMU, :class:`CommandReader`: what QEMU's parser takes is taken, what it refuses is
refused with its words, so that a client sees the same replies although only re-serialised values
reach QEMU. The rules are those of qobject/json-lexer.c, json-streamer.c and json-parser.c, which
did not change between QEMU 3.1 and 10.x: single quotes, several values in one write, a limit on
bytes, tokens and nesting, no value twice under one key, modified UTF-8, and resynchronisation at
the next structural or control character after an error.

QEMU to client, :class:`ReplySplitter`: replies are cut into whole messages and never re-written
(QEMU writes a bare ``inf``, which is not JSON).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final

from qmp_glue.guard.jsontext import BadTextError, parse_tokens, printable
from qmp_glue.guard.values import Json, Spelled

__all__ = [
    "MAX_NESTING",
    "MAX_TOKENS",
    "MAX_TOKEN_BYTES",
    "BadInput",
    "CommandReader",
    "Message",
    "OversizeError",
    "ReplySplitter",
    "is_event",
]

#: Bytes of all tokens of one message, white space not counted (MAX_TOKEN_SIZE).
MAX_TOKEN_BYTES: Final = 64 << 20
#: Tokens of one message (MAX_TOKEN_COUNT).
MAX_TOKENS: Final = 2 << 20
#: Open braces and brackets (MAX_NESTING).
MAX_NESTING: Final = 1 << 10
#: Longest number or word. QEMU has no limit of its own; nobody means a longer one, and scanning
#: it anew with every read would be slow. Past it: the size limit's error.
MAX_WORD_BYTES: Final = 64 << 10
#: Longest message taken from QEMU. Past it the connection is given up.
MAX_REPLY_BYTES: Final = 256 << 20

_PLAIN_TEXT = re.compile(rb"[\t\n\r\x20-\x5b\x5d-\x7e]*+")
_SPACE = re.compile(r"[ \t\r\n]*+")
_BLANKS = re.compile(rb"[ \t\r\n]*+")
_RESYNC = re.compile(rb"[\x00-\x08\x0a-\x1f\xfe\xff\[\]{}:,]")
_WORD = re.compile(rb"[a-z]++")
_DIGITS = re.compile(rb"[0-9]*+")
_BODY = {
    0x22: re.compile(rb"(?:[^\x00-\x1f\"\\\xfe\xff]++|\\[^\x00-\x1f\xfe\xff])*+"),
    0x27: re.compile(rb"(?:[^\x00-\x1f'\\\xfe\xff]++|\\[^\x00-\x1f\xfe\xff])*+"),
}
_NUMBER_START = frozenset(b"-0123456789")
_STRUCTURE = frozenset(b"{}[]:,")
_BACKSLASH = 0x5C
_REPLY_STARTS = (b'{"return"', b'{"id"', b'{"error"')


@dataclass(frozen=True, slots=True)
class Message:
    """One value a client sent; whether it is a command is not judged here."""

    value: Json


@dataclass(frozen=True, slots=True)
class BadInput:
    """Input that is no message: QEMU answers with this text."""

    desc: str
    #: The value, when it is one that cannot be a command of this client; bad bytes have none, and
    #: then the answer has no id.
    value: Json = None


class OversizeError(ValueError):
    """A message from QEMU is longer than the guard holds."""


class CommandReader:
    """Cuts a client's bytes into values exactly where QEMU's parser would."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        #: How far into the buffer an unfinished string has been scanned.
        self._scanned = 0
        self._recovering = False
        self._tokens: list[tuple[int, bytes]] = []
        self._token_bytes = 0
        self._braces = 0
        self._brackets = 0
        #: Bytes since the last value ended, or -1 when more than those decide what comes next.
        self.pending = 0

    def feed(self, data: bytes) -> list[Message | BadInput]:
        """Take *data*, return what it completes."""
        out: list[Message | BadInput] = []
        if not (self._buffer or self._tokens or self._recovering):
            data = data[_read_plain(data, out) :]
            if not data:
                self.pending = 0
                return out
        new = len(data)
        self._buffer += data
        at = 0
        ended = -1
        while at < len(self._buffer):
            known = len(out)
            following = self._step(at, out)
            if following == at:
                break
            at = following
            if len(out) > known or not (self._tokens or self._recovering):
                ended = at
        if self._recovering:
            self.pending = -1
        elif ended >= 0:
            self.pending = len(self._buffer) - ended
        elif self.pending >= 0:
            self.pending += new
        del self._buffer[:at]
        return out

    def _step(self, at: int, out: list[Message | BadInput]) -> int:
        """Take one token at *at*; return where the next starts, or *at* when more is needed."""
        buffer = self._buffer
        if self._recovering:
            found = _RESYNC.search(buffer, at)
            if not found:
                return len(buffer)
            self._recovering = False
            at = found.start()
        first = buffer[at]
        if first in _STRUCTURE:
            self._token(first, buffer[at : at + 1], out)
            return at + 1
        if first in _BODY:
            return self._string(at, first, out)
        if first in _NUMBER_START:
            end, good = _number(buffer, at)
            kind = 0x30
        elif 0x61 <= first <= 0x7A:
            end, good, kind = _word_end(buffer, at), True, 0x61
        else:
            blanks = _BLANKS.match(buffer, at)
            if blanks and blanks.end() > at:
                return blanks.end()
            end, good, kind = at + 1, False, 0
        if end < 0:
            if len(buffer) - at > MAX_WORD_BYTES:
                self._fail("JSON token size limit exceeded", out)
                return len(buffer)
            return at
        if good:
            self._token(kind, buffer[at:end], out)
        else:
            self._stray(bytes(buffer[at:end]), out)
        return end

    def _string(self, at: int, quote: int, out: list[Message | BadInput]) -> int:
        buffer = self._buffer
        body = _BODY[quote].match(buffer, max(at + 1, self._scanned))
        end = body.end() if body else at + 1
        unfinished = end == len(buffer) or (buffer[end] == _BACKSLASH and end + 1 == len(buffer))
        if min(end, len(buffer)) - at > MAX_TOKEN_BYTES:
            # QEMU gives up in mid-string and reads on as if a new value began there.
            self._scanned = 0
            self._fail("JSON token size limit exceeded", out)
            return at + MAX_TOKEN_BYTES + 1
        if unfinished:
            # feed() cuts what stands before the string.
            self._scanned = end - at
            return at
        self._scanned = 0
        if buffer[end] == quote:
            self._token(quote, buffer[at : end + 1], out)
            return end + 1
        if buffer[end] == _BACKSLASH:
            end += 1
        self._stray(bytes(buffer[at : end + 1]), out)
        return end + 1

    def _stray(self, text: bytes, out: list[Message | BadInput]) -> None:
        self._fail(f"JSON parse error, stray '{printable(text)}'", out)
        self._recovering = True

    def _fail(self, desc: str, out: list[Message | BadInput]) -> None:
        self._forget()
        out.append(BadInput(desc))

    def _forget(self) -> None:
        self._tokens = []
        self._token_bytes = self._braces = self._brackets = 0

    def _token(self, kind: int, text: bytearray, out: list[Message | BadInput]) -> None:
        if kind == 0x7B:
            self._braces += 1
        elif kind == 0x7D:
            self._braces -= 1
        elif kind == 0x5B:
            self._brackets += 1
        elif kind == 0x5D:
            self._brackets -= 1
        if self._token_bytes + len(text) + 1 > MAX_TOKEN_BYTES:
            self._fail("JSON token size limit exceeded", out)
            return
        if len(self._tokens) + 1 > MAX_TOKENS:
            self._fail("JSON token count limit exceeded", out)
            return
        if self._braces + self._brackets > MAX_NESTING:
            self._fail("JSON nesting depth limit exceeded", out)
            return
        self._token_bytes += len(text)
        self._tokens.append((kind, bytes(text)))
        if (self._braces or self._brackets) and self._braces >= 0 and self._brackets >= 0:
            return
        tokens = self._tokens
        self._forget()
        try:
            out.append(Message(parse_tokens(tokens)))
        except BadTextError as exc:
            out.append(BadInput(f"JSON parse error, {exc}"))


def _word_end(buffer: bytearray, at: int) -> int:
    """Return where the word at *at* ends, -1 when the next bytes decide."""
    word = _WORD.match(buffer, at)
    end = word.end() if word else at
    return end if end < len(buffer) else -1


def _number(buffer: bytearray, at: int) -> tuple[int, bool]:
    """Return where the number at *at* ends and whether it is one.

    -1 when the next bytes decide. A bad number ends behind the byte that spoils it, as QEMU's
    lexer has it: ``01`` and ``1.x`` are strays as a whole, ``0e5`` is a 0 and a word.
    """
    size = len(buffer)
    end = at + (buffer[at] == 0x2D)
    if end == size:
        return -1, True
    exponent = False
    if buffer[end] == 0x30:
        end += 1
        if end < size and 0x30 <= buffer[end] <= 0x39:
            return end + 1, False
    elif 0x31 <= buffer[end] <= 0x39:
        end = _digits_end(buffer, end)
        exponent = True
    else:
        return end + 1, False
    if end < size and buffer[end] == 0x2E:
        start, end = end + 1, _digits_end(buffer, end + 1)
        if end == start:
            return (end + 1, False) if end < size else (-1, True)
        exponent = True
    if exponent and end < size and buffer[end] in b"eE":
        start = end + 1
        if start < size and buffer[start] in b"+-":
            start += 1
        end = _digits_end(buffer, start)
        if end == start:
            return (end + 1, False) if end < size else (-1, True)
    return (end, True) if end < size else (-1, True)


def _digits_end(buffer: bytearray, at: int) -> int:
    digits = _DIGITS.match(buffer, at)
    return digits.end() if digits else at


class _NotPlainError(ValueError):
    """Python's decoder and QEMU's may disagree here; the exact reader decides."""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _NotPlainError
    return made


def _plain_float(text: str) -> Spelled:
    # QEMU takes no exponent behind a lone zero.
    if text.lstrip("-")[:2] in {"0e", "0E"}:
        raise _NotPlainError
    return Spelled(text)


def _no_constant(text: str) -> None:
    raise _NotPlainError(text)


_DECODER = json.JSONDecoder(
    object_pairs_hook=_members, parse_float=_plain_float, parse_constant=_no_constant
)


def _read_plain(data: bytes, out: list[Message | BadInput]) -> int:
    """Read whole objects of plain ASCII without escapes through Python's decoder.

    It is much faster, and for such text the two parsers agree. Returns how far it came; from there
    on the exact reader goes.
    """
    if not _PLAIN_TEXT.fullmatch(data) or data.count(b"{") + data.count(b"[") > MAX_NESTING // 4:
        return 0
    text = data.decode("ascii")
    at = _skip_space(text, 0)
    try:
        while text.startswith("{", at):
            value, end = _DECODER.raw_decode(text, at)
            out.append(Message(value))
            at = _skip_space(text, end)
    except (ValueError, RecursionError):
        pass
    return at


def _skip_space(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


class ReplySplitter:
    """Cuts QEMU's bytes into whole messages, line end included.

    QEMU ends a message with a line end and has none inside a string. A monitor with ``pretty=on``
    spreads a message over lines; its last line is a lone ``}``.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0

    @property
    def pending(self) -> int:
        """Bytes of a message that is not whole yet."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """Take *data*, return the messages it completes.

        :raise OversizeError: a message is longer than :data:`MAX_REPLY_BYTES`.
        """
        self._buffer += data
        out: list[bytes] = []
        start = 0
        while (newline := self._buffer.find(b"\n", max(start, self._searched))) >= 0:
            self._searched = newline + 1
            line_start = max(self._buffer.rfind(b"\n", start, newline) + 1, start)
            line = self._buffer[line_start:newline].rstrip(b"\r")
            if line != b"{" if line_start == start else line == b"}":
                out.append(bytes(self._buffer[start : newline + 1]))
                start = newline + 1
        del self._buffer[:start]
        self._searched = len(self._buffer)
        if self._searched > MAX_REPLY_BYTES:
            raise OversizeError(f"QEMU sent a message of more than {MAX_REPLY_BYTES} bytes")
        return out


def is_event(message: bytes) -> bool:
    """Say whether a message of QEMU's is an event, and not a reply."""
    # As QEMU has its members since 3.1, its hash being what it is.
    if message.startswith(_REPLY_STARTS):
        return False
    if message.startswith(b'{"timestamp"'):
        return True
    try:
        return "event" in json.loads(message)
    except ValueError:
        return b'"timestamp"' in message
