"""The grammar of QEMU's option arguments: ``a,key=value,flag`` and JSON objects.

util/qemu-option.c ``get_opt_name_value()`` and util/keyval.c ``keyval_parse()``, QEMU 7.2: parts
end at a comma, a doubled comma stands for one, the first part may leave its key out. This is the
one place that writes either spelling.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from planner.machine.options import size_word

__all__ = [
    "KeyvalError",
    "Size",
    "change_keys",
    "emit_keyval",
    "is_json",
    "parse_json",
    "parse_keyval",
    "split_commas",
]


class KeyvalError(ValueError):
    """The argument is not what QEMU's grammar allows."""


def split_commas(text: str) -> list[str]:
    """Split at single commas; ``,,`` becomes a comma inside its part.

    >>> split_commas("path=/a,,b,size=1G")
    ['path=/a,b', 'size=1G']
    """
    parts: list[str] = []
    current: list[str] = []
    at = 0
    while at < len(text):
        if text[at] != ",":
            current.append(text[at])
        elif text.startswith(",,", at):
            current.append(",")
            at += 1
        else:
            parts.append("".join(current))
            current = []
        at += 1
    return [*parts, "".join(current)]


def parse_keyval(text: str, implied: str = "") -> dict[str, str]:
    """Read an argument into its keys; a later value of the same key wins.

    A part without ``=`` is the value of *implied* if it comes first and *implied* is given;
    otherwise ``key`` means ``key=on`` and ``nokey`` means ``key=off``.

    :raise KeyvalError: an empty key.
    """
    values: dict[str, str] = {}
    for index, part in enumerate(split_commas(text)):
        key, equals, value = part.partition("=")
        if not part:
            continue
        if equals and not key:
            raise KeyvalError(f"expected a parameter name before '=' in '{text}'")
        if equals:
            values[key] = value
        elif index == 0 and implied:
            values[implied] = part
        elif part.startswith("no") and len(part) > 2:
            values[part[2:]] = "off"
        else:
            values[part] = "on"
    return values


def is_json(text: str) -> bool:
    """Say whether an argument is the JSON spelling (``-device``, ``-object``, ``-blockdev``)."""
    return text.startswith("{")


def parse_json(text: str) -> dict[str, str]:
    """Read a JSON argument into dotted keys and texts, so that both spellings look alike.

    :raise KeyvalError: not a JSON object, or a key twice.
    """
    try:
        data = json.loads(text, object_pairs_hook=_no_duplicates)
    except (ValueError, RecursionError) as error:
        raise KeyvalError(f"not a JSON object ({error}): {text[:60]}") from None
    if not isinstance(data, Mapping):
        raise KeyvalError(f"not a JSON object: {text[:60]}")
    values: dict[str, str] = {}
    _flatten("", data, values)
    return values


def _no_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    data = dict(pairs)
    if len(data) != len(pairs):
        raise ValueError("a key stands twice")
    return data


def _flatten(prefix: str, data: object, values: dict[str, str]) -> None:
    if isinstance(data, Mapping):
        for key, value in data.items():
            _flatten(f"{prefix}.{key}" if prefix else str(key), value, values)
    elif isinstance(data, list):
        for index, value in enumerate(data):
            _flatten(f"{prefix}.{index}", value, values)
    elif isinstance(data, bool):
        values[prefix] = "on" if data else "off"
    else:
        values[prefix] = str(data)


class Size(int):
    """A number of bytes, written with a suffix; other numbers are addresses, written in hex."""


def emit_keyval(values: Mapping[str, str | int], implied: str = "") -> str:
    """Write keys and values as one argument, commas doubled.

    :param implied: the key that is left out, its value written first.

    >>> emit_keyval({"size": Size(2 << 20), "qom-type": "a,b", "addr": 16}, "qom-type")
    'a,,b,size=2M,addr=0x10'
    """
    first = [_word(values[implied])] if implied in values else []
    rest = [f"{key}={_word(value)}" for key, value in values.items() if key != implied]
    return _join([*first, *rest])


def change_keys(text: str, changes: Mapping[str, str | int | None], implied: str = "") -> str:
    """Return an argument with some keys changed, added or (None) taken out, in its own spelling.

    What is not changed keeps its place and its words.

    >>> change_keys("m,size=1G,mem-path=/a,,b,share=on", {"size": Size(2 << 30), "share": None})
    'm,size=2G,mem-path=/a,,b'
    """
    if is_json(text):
        data = {**json.loads(text), **changes}
        kept = {key: value for key, value in data.items() if value is not None}
        return json.dumps(kept, separators=(",", ":"))
    parts: list[str] = []
    left = dict(changes)
    for index, part in enumerate(split_commas(text)):
        key, equals, _ = part.partition("=")
        bare = index == 0 and implied and not equals
        key = implied if bare else key
        if key not in changes:
            parts.append(part)
        elif (value := left.pop(key, None)) is not None:
            parts.append(_word(value) if bare else f"{key}={_word(value)}")
    parts += [f"{key}={_word(value)}" for key, value in left.items() if value is not None]
    return _join(parts)


def _word(value: str | int) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "on" if value else "off"
    return size_word(value) if isinstance(value, Size) else f"{value:#x}"


def _join(parts: Iterable[str]) -> str:
    return ",".join(part.replace(",", ",,") for part in parts)
