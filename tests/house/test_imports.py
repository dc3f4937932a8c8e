"""The house: imports point one way, one importer a library, printing only at the rim."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from kit import Golden
from rooms import PACKAGES, arrows, imported, levels, modules, parsed, picture, room

from planner.machine.family import LAYOUT_MACHINES

MODULES = modules()

#: Lower floors first; a module may import from its own room, or from a floor below.
FLOORS = (
    ("planner.span",),
    ("planner.region", "planner.units"),
    ("planner.findings", "planner.graph"),
    ("planner.machine", "planner.text"),
    ("planner.argv", "planner.guest", "planner.host"),
    ("planner.judge", "planner.layout"),
    ("planner.explain", "planner.place"),
    ("planner.documents",),
    ("planner.draw",),
    ("qmp_glue",),
    ("planner.cli",),
)
FLOOR = {name: number for number, names in enumerate(FLOORS) for name in names}

#: Library → who imports it. The command line is click's; Python's own library is everybody's.
IMPORTERS = {
    "click": "planner.cli",
    "networkx": "planner.graph",
    "yaml": "planner.text.source",
    "qemu": "qmp_glue.session",
}


def test_every_room_has_a_floor_and_every_floor_a_room() -> None:
    assert set(arrows()) == set(FLOOR)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name: str) -> None:
    here = room(name)
    above = [
        other
        for other in imported(MODULES[name])
        if other.partition(".")[0] in PACKAGES
        and room(other) not in (here, "planner")
        and FLOOR[room(other)] >= FLOOR.get(here, 0)
    ]
    assert above == []


@pytest.mark.parametrize("rooms", [True, False], ids=["rooms", "modules"])
def test_no_import_comes_back_to_where_it_began(rooms: bool) -> None:
    levels(arrows(rooms=rooms))


def test_a_circle_is_found_and_named() -> None:
    circle = {"a": frozenset({"b"}), "b": frozenset({"c"}), "c": frozenset({"b"})}
    with pytest.raises(ValueError, match=r"^b -> c -> b$"):
        levels(circle)


def test_each_library_has_one_importer() -> None:
    foreign = {
        (library, name)
        for name, path in MODULES.items()
        for library in {other.partition(".")[0] for other in imported(path)}
        if library not in PACKAGES and library not in sys.stdlib_module_names
    }
    assert {library for library, _ in foreign} == set(IMPORTERS)
    strangers = [
        (library, name)
        for library, name in sorted(foreign)
        if not f"{name}.".startswith(f"{IMPORTERS[library]}.")
    ]
    assert strangers == []


@pytest.mark.parametrize("name", MODULES)
def test_printing_and_exit_codes_live_in_the_cli(name: str) -> None:
    if room(name) == "planner.cli":
        return
    called = {
        node.func.id
        for node in ast.walk(parsed(MODULES[name]))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert not called & {"print", "exit", "input"}


#: Calls that only one module may make: text leaves the program there, harmless, and files whole.
ONE_CALLER = {
    "click.echo": {"planner.cli.output"},
    "click.secho": set(),
    "click.style": set(),
    "sys.stdout.write": set(),
    "os.replace": set(),
    ".write_text": set(),
    ".write_bytes": set(),
}


@pytest.mark.parametrize("call", ONE_CALLER)
def test_text_leaves_at_one_place(call: str) -> None:
    callers = {
        name
        for name, path in MODULES.items()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(call)
    }
    assert callers == ONE_CALLER[call]


@pytest.mark.parametrize("name", MODULES)
def test_modules_stay_readable(name: str) -> None:
    assert len(MODULES[name].read_text(encoding="utf-8").splitlines()) <= 500


def test_the_picture_in_the_documents_is_of_this_code(golden: Golden) -> None:
    """``scripts/imports --write`` draws it anew."""
    golden("../docs/images/rooms.svg", picture(arrows()))


#: Literals of a machine family outside of planner/machine, by module: whoever wants to know
#: something of a family asks its record. The one left is an example in a field's description.
SPELLED = {"planner.layout.schema": 1}


def spelled(path: Path) -> int:
    """Count the literals of a family in a file."""
    return sum(
        isinstance(node, ast.Constant) and node.value in LAYOUT_MACHINES
        for node in ast.walk(parsed(path))
    )


def test_families_are_spelled_in_their_room() -> None:
    more = {
        name: found
        for name, path in MODULES.items()
        if room(name) != "planner.machine" and (found := spelled(path)) > SPELLED.get(name, 0)
    }
    assert more == {}
