"""The guard's tables: every name is in them, and each is what was seen of it."""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from effects import scene
from effects.compare import TABLES, differences, missing
from effects.measure import Inventory, Outcome, human_names, inventory
from effects.record import Record
from effects.shadow import Effect, Shadow
from kit import ROOT

from qmp_glue.guard.table import questions
from qmp_glue.guard.table.properties import find
from qmp_glue.guard.table.rows import NEWEST, Class, Group, Table

#: QEMU 7.2 is installed; scripts/get-qemu brings the others.
PLACES = {
    "installed": Path(shutil.which("qemu-system-x86_64") or "/nowhere").parent,
    **{version: ROOT / ".cache" / f"qemu-{version}" for version in ("10.0", "11.1")},
}


def ask(place: str, machine: str) -> Inventory:
    program = PLACES[place] / scene.MACHINES[machine]
    if not program.exists():
        pytest.fail(f"{program} is not there; scripts/get-qemu brings it")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene.prepare(folder)
        with Shadow(str(program.resolve()), scene.words(machine), folder) as shadow:
            return inventory(shadow)


@pytest.mark.qemu
@pytest.mark.parametrize("machine", scene.MACHINES)
@pytest.mark.parametrize("place", PLACES)
def test_no_name_of_a_qemu_is_missing(place: str, machine: str) -> None:
    known = ask(place, machine)
    assert min(len(known.commands), len(known.drivers)) > 200
    assert len(known.human) > 80
    lost, newer = missing(known)
    sys.stdout.writelines(f"to be classified: {line}\n" for line in newer)
    assert not lost


def few() -> Inventory:
    nothing: frozenset[str] = frozenset()
    return Inventory(
        version="11.1",
        commands=frozenset({"query-status"}),
        human=frozenset({"info"}),
        objects=frozenset({"iothread"}),
        drivers=frozenset({"e1000e"}),
        parts=nothing,
        chardevs=frozenset({"null"}),
        netdevs=frozenset({"user"}),
        arguments=frozenset({"romfile"}),
        schema={},
    )


@pytest.mark.parametrize(
    ("table", "field", "name"),
    [
        ("command", "commands", "query-status"),
        ("human", "human", "info"),
        ("object", "objects", "iothread"),
        ("driver", "drivers", "e1000e"),
        ("chardev", "chardevs", "null"),
        ("netdev", "netdevs", "user"),
        ("argument", "arguments", "romfile"),
    ],
)
def test_a_row_that_is_taken_out_is_missed(
    monkeypatch: pytest.MonkeyPatch, table: str, field: str, name: str
) -> None:
    assert missing(few()) == ([], [])
    groups = [
        Group(row.kind, row.why, row.name, row.judge) for row in TABLES[table] if row.name != name
    ]
    monkeypatch.setitem(TABLES, table, Table(groups))
    assert missing(few()) == ([f"QEMU 11.1 {table} {name}"], []), field


def test_a_newer_qemu_may_have_unknown_names() -> None:
    known = replace(few(), version=f"{NEWEST[0] + 1}.0", commands=frozenset({"make-tea"}))
    assert missing(known) == ([], ["QEMU 12.0 command make-tea"])


@pytest.mark.parametrize(
    ("table", "name", "effects", "words"),
    [
        ("driver", "usb-kbd", {Effect.MAP}, "harmless, but map"),
        ("command", "query-status", {Effect.LISTENS}, "harmless, but listens"),
        ("driver", "qxl", set(), "judged as ram-bar, but no ram-bar was seen"),
        ("driver", "virtio-rng-pci,romfile=rom", set(), "judged as rom-bar, but no rom-bar"),
        ("driver", "virtio-rng-pci,romfile=", {Effect.ROM_BAR}, "harmless, but rom-bar"),
        ("driver", "pxb-pcie", set(), "refused, though QEMU takes it"),
        ("object", "tea-pot", set(), "stands in no table"),
    ],
)
def test_what_was_seen_and_is_not_said_is_a_difference(
    table: str, name: str, effects: set[Effect], words: str
) -> None:
    record = Record("11.1", {(table, name): Outcome(taken=True, effects=effects)})
    assert [line for line in differences(record) if words in line]


def test_a_name_may_differ_by_version() -> None:
    table = Table(
        (
            Group(Class.HARMLESS, "as it was", "tea@-10.0"),
            Group(Class.REFUSED, "as it is", "tea@10.1-"),
        )
    )
    assert [row and row.why for row in (table.find("tea", (7, 2)), table.find("tea", (11, 1)))] == [
        "as it was",
        "as it is",
    ]
    assert table.find("coffee") is None


def test_properties_are_found_by_type_and_for_all() -> None:
    for kind, name, wanted in (
        ("iothread", "poll-max-ns", Class.HARMLESS),
        ("virtio-blk-pci", "bootindex", Class.HARMLESS),
        ("virtio-mem-pci", "requested-size", Class.JUDGED),
    ):
        row = find(kind, name)
        assert row
        assert row.kind is wanted
    assert find("pc-dimm", "realized") is None
    assert find("memory-region", "enabled") is None


def test_the_guard_asks_only_what_has_no_effect() -> None:
    for name in questions.COMMANDS:
        row = TABLES["command"].find(name)
        assert row, name
        assert (row.kind, row.why) == (Class.HARMLESS, "only asks"), name
    assert not {
        "qom-list-types",
        "qom-list-properties",
        "device-list-properties",
    }.intersection(questions.COMMANDS)


def test_names_are_read_from_what_help_prints() -> None:
    text = (
        "cont|c  -- resume emulation\r\nhelp|? [cmd] -- show the help\r\n"
        "drive_add [-n] [[<domain>:]<bus>:]<slot>\r\n[file=file][,if=type] -- add drive\r\n"
        "migrate_set_parameter parameter value -- Set\r\n\t\t\tmore -- words\r\n"
    )
    assert list(human_names(text)) == [
        "cont",
        "c",
        "help",
        "?",
        "drive_add",
        "migrate_set_parameter",
    ]
