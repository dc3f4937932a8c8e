"""Text as YAML: plain where every version of YAML reads it as this text, else in quotes."""

from __future__ import annotations

import re

__all__ = ["literal", "quoted", "spell"]

#: Text no YAML version reads as anything but text, between brackets or not.
_PLAIN = re.compile(r"[A-Za-z/$](?:[A-Za-z0-9_./+=@$-]| (?=[A-Za-z0-9]))*\Z")
_TYPED = frozenset(["true", "false", "yes", "no", "on", "off", "y", "n", "null", "nan", "inf"])


def spell(text: str) -> str:
    """Return text as a YAML scalar that every version of YAML reads as this text."""
    plain = _PLAIN.match(text) and text.lower() not in _TYPED
    return text if plain else quoted(text)


def quoted(text: str) -> str:
    """Return text as a YAML scalar in double quotes, on one line."""
    plain = text.isprintable() and '"' not in text and "\\" not in text
    return f'"{text if plain else "".join(map(_escape, text))}"'


def _escape(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    number = ord(character)
    if 0xD800 <= number < 0xE000:
        return "?"  # half of a name that is not UTF-8, which YAML cannot hold
    for letter, digits in (("x", 2), ("u", 4)):
        if number < 1 << 4 * digits:
            return f"\\{letter}{number:0{digits}x}"
    return f"\\U{number:08x}"


def literal(text: str) -> list[str] | None:
    """Return text as the lines of a literal block, its ``|`` first; None where none can hold it."""
    lines = text.split("\n")
    ends = len(lines) - len(text.rstrip("\n").split("\n"))
    if not text.strip("\n") or not all(line.replace("\t", "").isprintable() for line in lines):
        return None
    indent = "2" if text.lstrip("\n")[0] in " \t" else ""
    header = "|" + indent + ("-", "", "+")[min(ends, 2)]
    return [header, *lines[: len(lines) - (ends > 0)]]
