"""Hold the tables against what was seen."""

from __future__ import annotations

import re
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
#: What no minimal arguments show: the memory that the backend maps into its BAR, from QEMU 11.1 on.
_READ = frozenset({"vhost-user-test-device-pci"})
#: What only other QEMUs have: of s390x and POWER, of other targets' CPUs, of other builds.
_ELSEWHERE = re.compile(
    r".*-(s390x-cpu|i386-cpu|spapr-cpu-core|ccw)|spapr-.*|pnv-.*|i8237[48]|macio-.*|adb-.*|sclp.*"
    r"|vfio-ap|zpci|diag288|x-terminal3270|tpm-spapr|dec-21154-p2p-bridge|eTSEC|isa-m48t59"
    r"|prep-systemio|rs6000-mc|sii3112|sm501|sungem|af-xdp"
)


def row_of(table: str, name: str, version: Version = NEWEST) -> Row | None:
    """Return the row that decides: of an experiment ``driver,key=value`` that of the argument."""
    if "=" not in name:
        return TABLES[table].find(name, version)
    plain, *arguments = name.split(",")
    for key, _, value in (argument.partition("=") for argument in arguments):
        row = TABLES["argument"].find(key, version)
        if row and row.kind is not Class.HARMLESS and value:
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
    if name.endswith(",romfile=") or name in _READ:
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
        ("driver", known.parts.union(known.drivers)),
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
            if row.name not in known and not _ELSEWHERE.fullmatch(row.name)
        ]
    return left
