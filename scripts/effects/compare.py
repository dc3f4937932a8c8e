"""Hold the tables against what was seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from effects.measure import Inventory, Outcome
from effects.record import Record
from effects.shadow import Effect
from qmp_glue.guard.table import (
    arguments,
    chardevs,
    commands,
    drivers,
    human,
    netdevs,
    objects,
    properties,
)
from qmp_glue.guard.table.rows import NEWEST, Class, Judge, Row, Table, Version, parse_version

__all__ = ["TABLES", "differences", "gone", "missing", "row_of"]

TABLES: dict[str, Table] = {
    "command": commands.TABLE,
    "human": human.TABLE,
    "object": objects.TABLE,
    "chardev": chardevs.TABLE,
    "netdev": netdevs.TABLE,
    "driver": drivers.TABLE,
    "argument": arguments.TABLE,
    "property": properties.TABLE,
}
#: What a driver must show, or is judged for nothing.
_SHOWN = {
    Judge.MEMORY: Effect.MAP,
    Judge.RAM_BAR: Effect.RAM_BAR,
    Judge.ROM_BAR: Effect.ROM_BAR,
    Judge.ASSIGN: Effect.HOST_DEVICE,
}
#: Names of other targets' QEMU (s390x, POWER), which are not among those measured.
_ELSEWHERE = ("-s390x-cpu", "-i386-cpu", "-spapr-cpu-core", "-ccw")


def row_of(table: str, name: str, version: Version = NEWEST) -> Row | None:
    """Return the row that decides: of an experiment ``driver,key=value`` that of the argument."""
    plain, comma, rest = name.partition(",")
    if comma:
        row = TABLES["argument"].find(rest.partition("=")[0], version)
        if row and row.kind is not Class.HARMLESS and not rest.endswith("="):
            return row
    return TABLES[table].find(plain, version)


def differences(record: Record) -> Iterator[str]:
    """Yield where what was seen is not what the tables say."""
    version = parse_version(record.version)
    for (table, name), outcome in sorted(record.outcomes.items()):
        row = row_of(table, name, version)
        if row is None:
            yield f"{record.version} {table} {name}: stands in no table"
        elif row.kind is Class.HARMLESS and outcome.effects:
            yield f"{record.version} {table} {name}: harmless, but {record.label(table, name)}"
        elif table == "driver" and (words := _for_nothing(name, row, outcome)):
            yield f"{record.version} {table} {name}: {words}"


def _for_nothing(name: str, row: Row, outcome: Outcome) -> str:
    wanted = _SHOWN.get(row.judge) if row.judge else None
    if row.kind is Class.REFUSED and outcome.taken:
        return "refused, though QEMU takes it"
    if not wanted or wanted in outcome.effects or not (outcome.taken or outcome.at_start):
        return ""
    if name.endswith(",romfile="):
        return ""
    return f"judged as {row.judge}, but no {wanted} was seen"


def missing(known: Inventory) -> tuple[list[str], list[str]]:
    """Return the names that stand nowhere, and those to be classified for a newer QEMU."""
    version = parse_version(known.version)
    asked: list[tuple[str, frozenset[str]]] = [
        ("command", known.commands),
        ("human", known.human),
        ("object", known.objects),
        ("chardev", known.chardevs),
        ("netdev", known.netdevs),
        ("driver", known.drivers | known.parts),
        ("argument", known.arguments),
    ]
    lost = [
        f"QEMU {known.version} {table} {name}"
        for table, names in asked
        for name in sorted(names)
        if not TABLES[table].find(name, version)
    ]
    return ([], lost) if version > NEWEST else (lost, [])


def gone(records: Sequence[Record]) -> list[str]:
    """Return rows of names that none of the measured QEMUs has."""
    left = []
    for table in ("command", "human", "object", "chardev", "netdev", "driver"):
        known = {name for record in records for name in record.names(table)}
        if table == "driver":
            known.update(*(record.parts for record in records))
        left += [
            f"{table} {row.name}"
            for row in TABLES[table]
            if row.name not in known and not row.name.endswith(_ELSEWHERE)
        ]
    return left
