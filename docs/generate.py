"""The parts of the reference that the program itself writes; the tests keep them up to date."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from planner.cli import COMMANDS, group
from planner.cli.exits import Exit

Document = Mapping[str, Any]


def commands_page() -> str:
    """Return every command with its options, from click."""
    lines = [
        "# Commands",
        "",
        "## Synopsis",
        "",
        "```text",
        "guestmap [--version] [-h] COMMAND [OPTIONS] [ARGUMENTS]",
        "```",
        "",
        "Addresses of monitors are spelled as QEMU does: `unix:PATH`, a path with a slash,",
        "`HOST:PORT` or `fd:N`; what `-qmp` says behind them (`,server=on,wait=off`) is read",
        "over. Where QEMU is only read (map, show, diff, verify, new), `libvirt:NAME` is the",
        "domain of that name, through `virsh` and `LIBVIRT_DEFAULT_URI`. A host is a profile",
        "(`guestmap host -o`), a pasted dump of `reserved_regions`, or a copied sysfs tree. A",
        "file named `-` is standard input.",
        "",
    ]
    root = click.Context(group, info_name="guestmap")
    for name in COMMANDS:
        command = group.get_command(root, name)
        if command is None:
            raise LookupError(name)
        lines += _command(name, command, root)
    lines += [
        "## Exit status",
        "",
        "0 fine, 1 findings of severity error, 2 usage, or what cannot be read or written, 3 QEMU",
        "or its monitor cannot be reached, 70 a bug: [Exit codes](exit-codes.md).",
        "",
        "## See also",
        "",
        "[Layout fields](layout.md), guestmap-layout(5);",
        "[JSON formats](json.md), guestmap-json(7);",
        "[how MSIs and reserved regions work](../explanation.md), guestmap-regions(7).",
    ]
    return "\n".join(lines).rstrip() + "\n"


def _command(name: str, command: click.Command, root: click.Context) -> list[str]:
    ctx = click.Context(command, info_name=name, parent=root)
    usage = command.get_usage(ctx).removeprefix("Usage: ")
    lines = [f"## guestmap {name}", "", "```text", " ".join(usage.split()), "```", ""]
    text = inspect.cleandoc(command.help or "").replace("\\b\n", "\b\n")
    for part in re.split(r"\n\s*\n", text):
        if part.startswith("\b"):
            title, _, block = part.removeprefix("\b").strip("\n").partition("\n")
            if title.startswith(" "):
                title, block = "", f"{title}\n{block}".rstrip()
            lines += [title, ""] if title else []
            lines += ["```sh", inspect.cleandoc(block), "```", ""]
        else:
            lines += [" ".join(part.split()), ""]
    options = [
        param.get_help_record(ctx) for param in command.params if isinstance(param, click.Option)
    ]
    for left, right in filter(None, options):
        lines += [f"`{' '.join(left.split())}`", f": {' '.join(right.split())}", ""]
    return lines


_FOUND = (
    "`lint --strict` counts warnings, `fmt --check` and `diff` count differences,"
    " `explain` a log it knows nothing of, `hotplug` a refusal"
)
_ENDS = {
    Exit.OK: ("fine", "also where only warnings and notes were found"),
    Exit.FINDINGS: (
        "findings of severity error",
        _FOUND,
    ),
    Exit.USAGE: (
        "usage, or what cannot be read or written",
        "what to write is said on stderr; a full disk too, and the old file stays as it was",
    ),
    Exit.UNREACHABLE: (
        "QEMU or its monitor cannot be reached",
        "no such program or socket, a command line QEMU refuses, no answer in time",
    ),
    Exit.BUG: ("a bug in guestmap", "`GUESTMAP_DEBUG=1` shows the traceback"),
    Exit.INTERRUPTED: ("interrupted", "Ctrl-C"),
}


def exit_codes_page() -> str:
    """Return the exit codes, from the enumeration the commands end with."""
    lines = [
        "# Exit codes",
        "",
        "The same for every command. The answer is on standard output, all else on standard error.",
        "A reader of the answer that goes early (`| head`) changes nothing: 0.",
        "",
        "| code | meaning | |",
        "|---:|---|---|",
    ]
    lines += [f"| {code.value} | {_ENDS[code][0]} | {_ENDS[code][1]} |" for code in Exit]
    return "\n".join(lines) + "\n"


_JSON_INTRO = """\
# JSON formats

Every command with `--json` prints one document. `format` names it, `version` is raised when a
field changes its meaning or goes; fields may be added at any time.

- Addresses and sizes are lower-case hexadecimal strings: JSON numbers lose bits above 2^53.
- A range is `base`, `last` and `size`; `last` is the last byte inside.
- A finding has the same fields everywhere; `overlap`, `notes`, `file`, `line`, `column` and `also`
  where there is something to say. `code` is stable, the words of `message` are not.

The tables are taken from real answers: a field of a list's items has `[]` in its path, a key that
is data and no name is `*`.
"""


def json_page(samples: Sequence[tuple[str, Document]]) -> str:
    """Return the outline of each format.

    :param samples: the command as shown, and a document it printed; documents of one format are
        told together.
    """
    formats: dict[str, tuple[list[str], dict[str, tuple[str, str]]]] = {}
    for command, document in samples:
        commands, fields = formats.setdefault(str(document["format"]), ([], {}))
        if command not in commands:
            commands.append(command)
        for path, kind, example in _fields(document, ""):
            fields.setdefault(path, (kind, example))
            if fields[path][0] in {"null", "list"} and kind not in {"null", "list"}:
                fields[path] = (kind, example)
    lines = [_JSON_INTRO]
    for name, (commands, fields) in formats.items():
        lines += [f"## {name}", "", "Printed by " + ", ".join(f"`{c}`" for c in commands) + ".", ""]
        lines += ["| field | type | as in |", "|---|---|---|"]
        lines += [
            f"| `{path}` | {kind} | {f'`{example}`' if example else ''} |"
            for path, (kind, example) in fields.items()
        ]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


#: Objects whose keys are data: their entries are told as one.
_OPEN = {"inputs", "sources", "options", "globals", "arguments"}


def _fields(value: object, path: str) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            name = "*" if path.rpartition(".")[2] in _OPEN else key
            yield from _fields(inner, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        if not value:
            yield path, "list", ""
        for inner in value:
            yield from _fields(inner, f"{path}[]")
    else:
        yield path, *_scalar(value)


def _scalar(value: object) -> tuple[str, str]:
    if value is None:
        return "null", ""
    if isinstance(value, bool):
        return "boolean", str(value).lower()
    if isinstance(value, int):
        return "number", str(value)
    text = str(value)
    kind = "hex string" if re.fullmatch("0x[0-9a-f]+", text) else "string"
    shown = " ".join(text.split()).replace("|", "\\|").replace("`", "'")
    return kind, shown if len(shown) <= 50 else f"{shown[:49]}…"
