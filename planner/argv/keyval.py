"""The grammar of QEMU's option arguments: ``a,key=value,flag`` and JSON objects.

util/qemu-option.c ``get_opt_name_value()`` and util/keyval.c ``keyval_parse()``, QEMU 7.2: parts
end at a comma, a doubled comma stands for one, the first part may leave its key out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

__all__ = ["KeyvalError", "emit_keyval", "is_json", "parse_json", "parse_keyval", "split_commas"]


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


def emit_keyval(values: Iterable[tuple[str, str]]) -> str:
    """Write keys and values as one argument, commas doubled.

    An empty key writes the bare value, which must come first.
    """
    parts = []
    for key, value in values:
        escaped = value.replace(",", ",,")
        parts.append(f"{key}={escaped}" if key else escaped)
    return ",".join(parts)
