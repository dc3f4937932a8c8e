"""The guard's tables: every name is in them, and each is what was seen of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from effects import scene
from effects.compare import TABLES, differences, gone, missing, row_of
from effects.measure import Inventory, Outcome, human_names, inventory, measure
from effects.page import page
from effects.record import Record, records
from effects.shadow import Effect, Shadow
from kit import ROOT

from qmp_glue.guard.table import questions
from qmp_glue.guard.table.properties import find
from qmp_glue.guard.table.rows import NEWEST, Class, Group, Judge, Table

#: Where a QEMU is, and the suite scripts/get-qemu brings it from.
PLACES = {
    "installed": (Path(shutil.which("qemu-system-x86_64") or "/nowhere").parent, ""),
    "10.0": (ROOT / ".cache" / "qemu-10.0", "bookworm-backports"),
    "11.1": (ROOT / ".cache" / "qemu-11.1", "testing"),
}


def ask(place: str, machine: str) -> Inventory:
    directory, suite = PLACES[place]
    if suite and not directory.exists():
        subprocess.run([ROOT / "scripts" / "get-qemu", suite], check=True)
    program = directory / scene.MACHINES[machine]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scene.prepare(folder)
        with Shadow(str(program.resolve()), scene.words(machine), folder) as shadow:
            return inventory(shadow)


@pytest.mark.qemu
@pytest.mark.parametrize("machine", scene.MACHINES)
@pytest.mark.parametrize(
    "place",
    [
        # To bring one takes minutes.
        pytest.param(place, marks=[] if directory.exists() else [pytest.mark.long])
        for place, (directory, _) in PLACES.items()
    ],
)
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
        drivers={"e1000e": "PCI"},
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


def test_every_version_was_measured() -> None:
    assert [record.version for record in records()] == ["7.2", "10.0", "11.1"]


def test_the_tables_say_what_was_seen() -> None:
    assert [line for record in records() for line in differences(record)] == []


def test_no_row_is_left_of_what_no_qemu_has() -> None:
    assert gone(records()) == []


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


def test_the_page_is_what_the_tables_and_the_record_say() -> None:
    written = (ROOT / "docs" / "reference" / "guard-tables.md").read_text(encoding="utf-8")
    assert written == page(records()), "scripts/guard-effects writes it"


def test_a_record_reads_back(tmp_path: Path) -> None:
    for record in records():
        record.write(tmp_path)
    assert [again.outcomes for again in records(tmp_path)] == [
        {place: replace(outcome, words="") for place, outcome in record.outcomes.items()}
        for record in records()
    ]


@pytest.mark.qemu
@pytest.mark.parametrize("machine", scene.MACHINES)
def test_what_was_seen_is_seen_again(machine: str) -> None:
    program = shutil.which(scene.MACHINES[machine])
    assert program
    few = "o|qtest|chardev-add|nbd-server-start|pc-dimm|bochs-display|nvme|usb-kbd|pxb-pcie"
    known, found = measure(program, machine, lambda _: None, few)
    again = Record(known.version)
    again.add(known, found)
    before = {record.version: record for record in records()}[known.version]
    seen = {place: again.label(*place) for place in found}
    # Ports lead nowhere on virt.
    ports = {("human", "o"): "map" if machine == "q35" else "nothing"}
    assert seen == {place: before.label(*place) for place in found} | ports
    assert {seen[place] for place in seen} >= {"monitor", "listens", "map", "nothing", "at start"}


#: The ways around that were found, and the class that closes each.
CLOSED = [
    ("object", "monitor-qmp", Class.REFUSED, Judge.MONITOR, {Effect.MONITOR}),
    ("object", "monitor-hmp", Class.REFUSED, Judge.MONITOR, {Effect.MONITOR}),
    ("object", "qtest", Class.REFUSED, Judge.MONITOR, {Effect.MONITOR}),
    ("human", "o", Class.REFUSED, None, {Effect.MAP}),
    ("human", "gdbserver", Class.REFUSED, None, {Effect.MONITOR, Effect.LISTENS}),
    ("command", "migrate", Class.JUDGED, Judge.MIGRATE, {Effect.PROGRAM}),
    ("command", "migrate-set-parameters", Class.JUDGED, Judge.MIGRATE, {Effect.PROGRAM}),
    ("command", "chardev-add", Class.JUDGED, Judge.CHARDEV, {Effect.LISTENS}),
    ("command", "nbd-server-start", Class.JUDGED, Judge.LISTEN, {Effect.LISTENS}),
    ("driver", "bochs-display", Class.JUDGED, Judge.RAM_BAR, {Effect.RAM_BAR, Effect.ROM_BAR}),
    ("driver", "secondary-vga", Class.JUDGED, Judge.RAM_BAR, {Effect.RAM_BAR}),
    ("driver", "qxl", Class.JUDGED, Judge.RAM_BAR, {Effect.RAM_BAR}),
    ("driver", "nvme,pmrdev=m0", Class.JUDGED, Judge.RAM_BAR, {Effect.RAM_BAR}),
    ("driver", "vfio-pci", Class.JUDGED, Judge.ASSIGN, {Effect.HOST_DEVICE}),
    ("driver", "vfio-pci,iommufd=iommufd0", Class.JUDGED, Judge.ASSIGN, {Effect.HOST_DEVICE}),
    (
        "driver",
        "pci-testdev,membar=2097152,membar-backed=True",
        Class.JUDGED,
        Judge.RAM_BAR,
        {Effect.RAM_BAR},
    ),
    ("driver", "e1000-82540em", Class.JUDGED, Judge.ROM_BAR, {Effect.ROM_BAR}),
    ("netdev", "vhost-vdpa", Class.JUDGED, Judge.ASSIGN, {Effect.HOST_DEVICE}),
]


@pytest.mark.parametrize(("table", "name", "kind", "judge", "effects"), CLOSED)
def test_a_way_around_is_closed_by_what_was_seen(
    table: str, name: str, kind: Class, judge: Judge | None, effects: set[Effect]
) -> None:
    newest = records()[-1].outcomes[table, name]
    assert newest.effects == effects
    row = row_of(table, name)
    assert row
    assert (row.kind, row.judge) == (kind, judge)


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
