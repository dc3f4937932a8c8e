"""The reference page of the guard's tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from effects.compare import TABLES
from effects.record import Record
from qmp_glue.guard.table import questions
from qmp_glue.guard.table.rows import Row, parse_version

__all__ = ["page"]

_TITLES = {
    "command": "QMP commands",
    "human": "Commands of the human monitor",
    "object": "Objects (`object-add`)",
    "chardev": "Character devices (`chardev-add`)",
    "netdev": "Network backends (`netdev_add`)",
    "property": "Properties (`qom-set`)",
    "argument": "Arguments (`device_add`)",
    "driver": "Drivers (`device_add`)",
}
_HEAD = """\
# The guard's tables

<!-- Written by scripts/guard-effects from qmp_glue/guard/table/ and scripts/effects/seen/. -->

What `guestmap guard` does with each name QEMU knows, and what that name did when it was given to a
shadow QEMU of each version (q35 and virt) with few arguments. *harmless* passes, *judged* depends
on arguments and map, *refused* never passes. A name that stands in no table is refused.

| seen | means |
|---|---|
| nothing | QEMU took it, and nothing below showed |
| map | memory that VFIO maps came into the flat view |
| ram-bar, rom-bar | the same, where the guest gives a BAR or an option ROM an address |
| monitor | a monitor, a qtest server or a gdb stub answers at a socket |
| listens | a new listening socket |
| host-device | /dev/vfio, /dev/iommu or a vDPA device was opened |
| program | the process became another program |
| dies | QEMU ended |
| not taken | QEMU refused it with these arguments |
| at start | QEMU takes it on its command line only; seen there |
| – | not measured: this version does not have it, or it needs another machine |
"""


def page(records: Sequence[Record]) -> str:
    """Return the page as Markdown."""
    lines = [_HEAD]
    for table, title in _TITLES.items():
        lines += [f"## {title}", "", *_table(table, records), ""]
    lines += [
        "## What the guard itself asks",
        "",
        "Commands: " + ", ".join(f"`{name}`" for name in sorted(questions.COMMANDS)) + ".",
        "",
        "Lines: " + ", ".join(f"`{line}`" for line in sorted(questions.LINES)) + ".",
        "",
        "Never `qom-list-types` and what else loads modules: where the modules on disk are another",
        "build's, QEMU aborts.",
    ]
    return "\n".join(lines) + "\n"


def _table(table: str, records: Sequence[Record]) -> Iterator[str]:
    versions = [record.version for record in records]
    yield f"| class | why | names | {' | '.join(versions)} |"
    yield "|---|---|---|" + "---|" * len(versions)
    rows: dict[tuple[str, ...], list[str]] = {}
    for row in TABLES[table]:
        labels = [_label(table, row, record) for record in records]
        kind = f"{row.kind} ({row.judge})" if row.judge else str(row.kind)
        rows.setdefault((kind, row.why, *labels), []).append(row.name)
    for record in records:
        # Experiments with one argument more are rows of their own.
        for each, name in record.outcomes:
            if each == table and "=" in name:
                labels = [other.label(table, name) or "–" for other in records]
                key = ("", "with an argument", *labels)
                if name not in rows.setdefault(key, []):
                    rows[key].append(name)
    for (kind, why, *labels), names in rows.items():
        shown = " ".join(f"`{name}`" for name in names)
        yield f"| {kind} | {why} | {shown} | {' | '.join(labels)} |"


def _label(table: str, row: Row, record: Record) -> str:
    if not row.since <= parse_version(record.version) <= row.until:
        return "–"
    return record.label(table, row.name) or "–"
