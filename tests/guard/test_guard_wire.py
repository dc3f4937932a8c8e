"""Bytes to messages: QEMU's grammar, its errors, its limits, whatever the chunks."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmp_glue.guard.values import (
    Spelled,
    error_reply,
    is_plain,
    qemu_text,
    reply_bytes,
    wire_bytes,
)
from qmp_glue.guard.wire import (
    MAX_NESTING,
    MAX_TOKEN_BYTES,
    BadInput,
    CommandReader,
    Message,
    ReplySplitter,
    is_event,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\"'\\%é"), inner),
    max_leaves=12,
)
PIECES = st.sampled_from(
    [
        *(bytes([byte]) for byte in b"{}[]:,\"'\\-0159.eE+%azA \n\t\r"),
        b'"execute"',
        b'"id":1',
        b"true",
        b"null",
        b"\\u00e9",
        b"\\ud834\\udd1e",
        b"\\ud834",
        b"\\u12",
        b"\xc3\xa9",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xff",
        b"\x00",
        b"\x7f",
        b'{"execute":"stop"}',
    ]
)
BYTES = st.lists(PIECES, max_size=40).map(b"".join) | st.binary(max_size=80)


def read(data: bytes, step: int = 1 << 30) -> list[Message | BadInput]:
    reader = CommandReader()
    return [item for at in range(0, len(data), step) for item in reader.feed(data[at : at + step])]


def values(data: bytes) -> list[Any]:
    found = read(data)
    assert all(isinstance(item, Message) for item in found), found
    return [item.value for item in found if isinstance(item, Message)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"{'execute':'stop'}", {"execute": "stop"}),
        (b'{"a":"it\'s"}', {"a": "it's"}),
        (b"{'a':'say \"x\" \\''}", {"a": 'say "x" \''}),
        (b'{\n  "a" : [ 1 ,\t2 ]\r\n}', {"a": [1, 2]}),
        (b'{"a":18446744073709551615}', {"a": 18446744073709551615}),
        (b'{"a":-0}', {"a": 0}),
        (b'{"a":"\\ud834\\udd1e \\u0000 \\/"}', {"a": "\U0001d11e \0 /"}),
        (b'{"a":"\xc3\xa9\xc0\x80"}', {"a": "é\0"}),
        (b'{"%d":"%s"}', {"%d": "%s"}),
        (b"[true,false,null,{},[]]", [True, False, None, {}, []]),
        (b'"text" ', "text"),
    ],
)
def test_what_qemu_takes_is_taken(text: bytes, value: object) -> None:
    assert values(text) == [value]
    assert [item.value for item in read(text, 1) if isinstance(item, Message)] == [value]


@pytest.mark.parametrize(
    ("text", "errors"),
    [
        (b'{"a":1,"a":2}', ["duplicate key"]),
        (b'{"a":1,"\\u0061":2}', ["duplicate key"]),
        (b'{"a":nul}', ["invalid keyword 'nul'"]),
        (b'{"a":1,}', ["expecting value"]),
        (b'{"a" 1}', ["missing : in object pair"]),
        (b'{"a":1 "b":2}', ["expected separator in dict"]),
        (b"[1 2]", ["expected separator in list"]),
        (b"{[1]:2}", ["key is not a string in object"]),
        (b'{"a":%p}', ["stray '%'", "expecting value"]),
        (b'{"a":01}', ["stray '01'", "expecting value"]),
        (b'{"a":1.x}', ["stray '1.x'", "expecting value"]),
        (b'{"a":0e5}', ["expected separator in dict"]),
        (b'{"a":"\\ud834"}', ["\\ud834 is not a valid Unicode character"]),
        (b'{"a":"\\q"}', ["invalid escape sequence in string"]),
        (b'{"a":"\xed\xa0\x80"}', ["invalid UTF-8 sequence in string"]),
        (b'{"a":"\xef\xbf\xbf"}', ["invalid UTF-8 sequence in string"]),
        (b'{"a":"\xf8\x88\x80\x80\x80"}', ["invalid UTF-8 sequence in string"]),
        (b"\xff", ["stray '\ufffd'"]),
        (b'"ab\n', ["stray '\"ab\n'"]),
        (b"}", ["expecting value"]),
        (b"[[[ }", ["expecting value"]),
        (b'{"a":NaN}', ["stray 'N'", "expecting value"]),
    ],
)
def test_what_qemu_refuses_is_refused_in_its_words(text: bytes, errors: list[str]) -> None:
    expected: list[Message | BadInput] = [BadInput(f"JSON parse error, {e}") for e in errors]
    assert read(text) == expected
    assert read(text, 1) == expected


def test_numbers_keep_their_spelling_to_qemu() -> None:
    text = b'{"a":[1e400,1.0,-0.0,1E+2,12345678901234567890123,0.10]}'
    (value,) = values(text)
    assert math.isinf(value["a"][0])
    assert wire_bytes(value) == text + b"\n"


def test_many_commands_in_one_write() -> None:
    one = b'{"execute":"query-status"}'
    assert values(one * 1000) == [{"execute": "query-status"}] * 1000


def test_a_command_after_bad_bytes_is_read_again() -> None:
    found = read(b'{"a" \xfe{"execute":"stop"}')
    assert found[-1] == Message({"execute": "stop"})
    assert isinstance(found[0], BadInput)


def test_nesting_stops_where_qemu_stops() -> None:
    def nested(depth: int) -> bytes:
        return b"[" * depth + b"]" * depth

    (value,) = values(nested(MAX_NESTING))
    assert wire_bytes(value) == nested(MAX_NESTING) + b"\n"
    assert qemu_text(value).startswith("[[[[")
    over = read(nested(MAX_NESTING + 1))
    assert over[0] == BadInput("JSON nesting depth limit exceeded")


def test_size_stops_where_qemu_stops() -> None:
    room = MAX_TOKEN_BYTES - len('["":,]') - 1 - 2
    data = b'{"a":"' + b"x" * (room - 10) + b'"}'
    (value,) = values(data)
    assert len(value["a"]) == room - 10
    found = read(b'{"a":"' + b"x" * (MAX_TOKEN_BYTES + 5), 1 << 20)
    assert found[0] == BadInput("JSON token size limit exceeded")


def test_an_endless_number_is_not_scanned_for_ever() -> None:
    found = read(b"[" + b"1" * 300_000, 1 << 10)
    assert BadInput("JSON token size limit exceeded") in found


@given(BYTES, st.integers(1, 9))
def test_chunks_do_not_matter(data: bytes, step: int) -> None:
    assert repr(read(data, step)) == repr(read(data))


@given(BYTES)
def test_any_bytes_are_values_or_errors(data: bytes) -> None:
    for item in read(data):
        if isinstance(item, Message):
            wire_bytes(item.value).decode("ascii")
            reply_bytes({"return": item.value}).decode("ascii")
        else:
            error_reply(item.desc).decode("ascii")


@given(JSON)
def test_values_survive_the_way_to_qemu(value: object) -> None:
    line = wire_bytes({"v": value})
    assert line.count(b"\n") == 1
    assert values(line) == [{"v": value}]
    assert values(json.dumps({"v": value}, ensure_ascii=False, indent=2).encode()) == [{"v": value}]


@given(JSON)
def test_what_the_guard_says_for_qemu_is_json(value: object) -> None:
    said = reply_bytes({"return": value})
    assert said.endswith(b"\r\n")
    # Beyond 64 bits a number is a double, to QEMU and so in its replies.
    if all(-(1 << 63) <= number < 1 << 64 for number in _numbers(value)):
        assert json.loads(said) == {"return": value}


def _numbers(value: object) -> list[int]:
    if isinstance(value, int):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [n for item in value for n in _numbers(item)] if isinstance(value, list) else []


def test_ids_are_echoed_as_qemu_echoes_them() -> None:
    value = {"id": [Spelled("1.0"), Spelled("1e400"), 10**22, -1, 'é\U0001d11e\x7f/"\n']}
    assert error_reply("no", value) == (
        b'{"id": [1, inf, 1e+22, -1, "\\u00E9\\uD834\\uDD1E\\u007F/\\"\\n"], '
        b'"error": {"class": "GenericError", "desc": "no"}}\r\n'
    )


def test_plain_values_are_told_from_others() -> None:
    assert is_plain({"a": [1, "x", None, True]})
    assert not is_plain({"a": [Spelled("1.5")]})


@given(st.lists(st.sampled_from([b'{"return": {}}\r\n', b'{"a": inf}\n', b'{"b": "}"}\r\n'])))
def test_replies_are_cut_at_their_ends_and_kept_as_they_are(lines: list[bytes]) -> None:
    data = b"".join(lines)
    for step in (1, 7, 1 << 20):
        splitter = ReplySplitter()
        chunks = [data[at : at + step] for at in range(0, len(data), step)]
        assert [message for chunk in chunks for message in splitter.feed(chunk)] == lines


def test_pretty_replies_are_cut_at_their_last_brace() -> None:
    one = b'{\r\n    "return": {\r\n    }\r\n}\r\n'
    for step in (1, 5, 1 << 20):
        splitter = ReplySplitter()
        data = one * 3
        chunks = [data[at : at + step] for at in range(0, len(data), step)]
        assert [message for chunk in chunks for message in splitter.feed(chunk)] == [one] * 3


@pytest.mark.parametrize(
    ("message", "event"),
    [
        (b'{"timestamp": {"seconds": 1}, "event": "STOP"}\r\n', True),
        (b'{"return": {"event": 1}}\r\n', False),
        (b'{"id": "timestamp", "error": {"class": "x", "desc": "event"}}\r\n', False),
        (b'{\r\n    "timestamp": {\r\n    },\r\n    "event": "STOP"\r\n}\r\n', True),
        (b'{\r\n    "return": {\r\n    }\r\n}\r\n', False),
        (b'{\r\n    "return": inf\r\n}\r\n', False),
    ],
)
def test_replies_are_told_from_events(message: bytes, event: bool) -> None:
    assert is_event(message) is event
