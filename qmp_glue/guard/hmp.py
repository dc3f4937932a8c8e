"""The human monitor's spellings, as far as they can be understood without doubt.

A line is a command name, ended by white space or ``/``, then arguments (monitor/hmp.c
``get_command_name()`` and ``monitor_parse_arguments()``, QEMU 7.2). Quoting and escapes are not
followed: a line with them that could change the map is not understood, and so refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from planner.argv.keyval import KeyvalError, parse_keyval, split_commas
from qmp_glue.guard.commands import HMP_HARMLESS
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import CannotJudgeError

__all__ = ["HmpCommand", "NotUnderstoodError", "harmless", "understand"]

_NAME = re.compile(r"\s*([^\s/]*)")
_PLAIN = re.compile(r"[!#-&(-\[\]-~]+")
#: Human name → QMP name, of commands whose only argument is ``driver,key=value,...``.
_KEYVAL = {"device_add": ("device_add", "driver"), "netdev_add": ("netdev_add", "type")}
_OBJECT = {"object_add": ("object-add", "qom-type")}
_ONE_WORD = {"device_del": ("device_del", "id"), "loadvm": ("snapshot-load", "tag")}
_BARE = {"exit_preconfig": "x-exit-preconfig"}


class NotUnderstoodError(CannotJudgeError):
    """The line cannot be read without doubt; the message says why."""


@dataclass(frozen=True, slots=True)
class HmpCommand:
    """A human monitor line in QMP's words."""

    name: str
    arguments: dict[str, Json]
    line: str

    def changed(self, arguments: Mapping[str, Json]) -> str:
        """Return the line with the one argument that *arguments* has otherwise."""
        for key, value in arguments.items():
            if self.arguments.get(key) == value:
                continue
            told = f",{key}={value:#x}"
            if key in self.arguments:
                return re.sub(rf",{re.escape(key)}=[^,]*", told, self.line, count=1)
            return self.line.rstrip() + told
        return self.line


def _first_word(line: str) -> str:
    found = _NAME.match(line)
    return found[1] if found else ""


def harmless(line: str) -> bool:
    """Say whether the line's command is known to leave the map alone."""
    word = _first_word(line)
    return word in HMP_HARMLESS or not word


def understand(line: str) -> HmpCommand:
    """Read a line that is not harmless.

    :raise NotUnderstoodError: it is none of the known commands, or uses quoting.
    """
    word = _first_word(line)
    words = line.split()
    if not all(_PLAIN.fullmatch(each) for each in words):
        raise NotUnderstoodError(f"'{word}' with quotes, escapes or control characters")
    rest = words[1:]
    if words and words[0] != word:
        raise NotUnderstoodError(f"'{words[0]}' is no plain command name")
    if word in _BARE and not rest:
        return HmpCommand(_BARE[word], {}, line)
    if word in _ONE_WORD and len(rest) == 1:
        name, key = _ONE_WORD[word]
        return HmpCommand(name, {key: rest[0]}, line)
    if word in {**_KEYVAL, **_OBJECT} and len(rest) == 1:
        name, implied = {**_KEYVAL, **_OBJECT}[word]
        return HmpCommand(name, _options(rest[0], implied), line)
    if word == "qom-set":
        return _qom_set(rest, line)
    if word == "migrate_incoming" and len(rest) == 1:
        return HmpCommand("migrate-incoming", {"uri": rest[0]}, line)
    if word == "gdbserver":
        raise NotUnderstoodError("'gdbserver' opens a human monitor that is not guarded")
    raise NotUnderstoodError(f"'{word}' is not a command guestmap knows in this form")


def _options(text: str, implied: str) -> dict[str, Json]:
    if ",," in text:
        raise NotUnderstoodError("a value with a comma")
    keys = [part.partition("=")[0] for part in split_commas(text)]
    if len(set(keys)) != len(keys):
        raise NotUnderstoodError("a key stands twice")
    try:
        return dict(parse_keyval(text, implied))
    except KeyvalError as exc:
        raise NotUnderstoodError(str(exc)) from None


def _qom_set(rest: list[str], line: str) -> HmpCommand:
    if rest and rest[0] == "-j":
        rest = rest[1:]
    if len(rest) != 3 or rest[0].startswith("-"):
        raise NotUnderstoodError("'qom-set' with other than path, property and a plain value")
    path, name, value = rest
    return HmpCommand("qom-set", {"path": path, "property": name, "value": value}, line)
