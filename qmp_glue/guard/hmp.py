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
from qmp_glue.guard.table.rows import Judge
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import CannotJudgeError

__all__ = ["HmpCommand", "NotUnderstoodError", "first_word", "understand"]

_NAME = re.compile(r"\s*([^\s/]*)")
_PLAIN = re.compile(r"[!#-&(-\[\]-~]+")
#: The key that may be left out, of commands whose last argument is ``value,key=value,...``.
_IMPLIED = {
    Judge.DEVICE: "driver",
    Judge.NETDEV: "type",
    Judge.OBJECT: "qom-type",
    Judge.CHARDEV: "backend",
}


class NotUnderstoodError(CannotJudgeError):
    """The line cannot be read without doubt; the message says why."""


@dataclass(frozen=True, slots=True)
class HmpCommand:
    """A human monitor line with arguments in QMP's words."""

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


def first_word(line: str) -> str:
    """Return the name of a line's command; empty when there is none."""
    found = _NAME.match(line)
    return found[1] if found else ""


def understand(line: str, judge: Judge) -> HmpCommand:
    """Read the arguments of a line.

    :param judge: what its command is judged by, and so what it takes.
    :raise NotUnderstoodError: it uses quoting, or is not of the form expected.
    """
    word, words = first_word(line), line.split()
    rest = words[1:]
    if words[0] != word:
        raise NotUnderstoodError(f"'{words[0]}' is no plain command name")
    if judge is Judge.MIGRATE:
        # What is migrated to may be quoted; which parameter is set may not.
        return HmpCommand(_parameter(rest) if "set" in word else {}, line)
    if not all(_PLAIN.fullmatch(each) for each in words):
        raise NotUnderstoodError(f"'{word}' with quotes, escapes or control characters")
    if judge in _IMPLIED:
        # chardev-change has the id in front.
        if len(rest) != 1 + (word == "chardev-change"):
            raise NotUnderstoodError(f"'{word}' with other than one list of options")
        return HmpCommand(_options(rest[-1], _IMPLIED[judge]), line)
    if judge is Judge.PROPERTY:
        return HmpCommand(_qom_set(rest), line)
    return HmpCommand({"words": rest}, line)


def _parameter(rest: list[str]) -> dict[str, Json]:
    if len(rest) < 2 or not _PLAIN.fullmatch(rest[0]) or rest[0].startswith("-"):
        raise NotUnderstoodError("'migrate_set_parameter' with other than a parameter and a value")
    return {rest[0]: " ".join(rest[1:])}


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


def _qom_set(rest: list[str]) -> dict[str, Json]:
    if rest and rest[0] == "-j":
        rest = rest[1:]
    if len(rest) != 3 or rest[0].startswith("-"):
        raise NotUnderstoodError("'qom-set' with other than path, property and a plain value")
    path, name, value = rest
    return {"path": path, "property": name, "value": value}
