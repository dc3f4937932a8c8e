"""Give a shadow each thing there is, and take down what it did."""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from effects import scene
from effects.given_backends import chardev_case, netdev_case, object_case, property_cases
from effects.given_commands import commands as command_cases
from effects.given_drivers import device_cases
from effects.given_lines import human_lines
from effects.hostdev import HOST_DEVICES
from effects.scene import Command, Experiment
from effects.shadow import Effect, Opened, Seen, Shadow, ShadowDiedError, effects_between
from qmp_glue.guard.table.drivers import TABLE
from qmp_glue.guard.table.rows import Class

__all__ = ["Inventory", "Outcome", "inventory", "measure"]

#: What only asks or lets run; the shadow serves on.
_ASKS = re.compile(
    r"(x-)?query-|qom-(get|list)|info|help|[?ix]p?$|print|p$|gp?v?a2|trace-event-get"
)
_REFUSAL = re.compile("Error|unknown command|invalid|Usage|usage|.*(not found|expected)")
#: Sets of commands; of each the first that QEMU takes counts.
_Acts = Sequence[Sequence[Command]]
#: What goes on after the answer.
_SLOW = re.compile("migrate|snapshot|blockdev-create|quit|q$")
_SLOW_SECONDS = 0.5
_STARTS = 3
_OBJECTS = frozenset({"object-add", "object_add"})
_ENDS = frozenset({"quit", "q"})


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a QEMU knows."""

    version: str
    commands: frozenset[str]
    human: frozenset[str]
    objects: frozenset[str]
    #: Drivers that ``device_add help`` offers, and the kind of bus each goes on; empty for none.
    drivers: Mapping[str, str]
    #: All other devices: parts of boards.
    parts: frozenset[str]
    chardevs: frozenset[str]
    netdevs: frozenset[str]
    #: Properties of the drivers that may be plugged.
    arguments: frozenset[str]
    schema: Mapping[str, Mapping[str, Any]] = field(repr=False)


@dataclass(slots=True)
class Outcome:
    """What one thing did on one QEMU."""

    #: QEMU took it, with one set of arguments at least.
    taken: bool = False
    effects: set[Effect] = field(default_factory=set)
    #: QEMU took it at its start only.
    at_start: bool = False
    #: QEMU's words when it did not.
    words: str = ""


def inventory(shadow: Shadow) -> Inventory:
    """Ask for all names. It makes QEMU load all modules: nothing for a VM somebody uses."""
    schema = {entry["name"]: entry for entry in shadow.ask("query-qmp-schema")}
    types = {
        interface: {
            entry["name"]
            for entry in shadow.ask("qom-list-types", implements=interface, abstract=False)
        }
        for interface in ("user-creatable", "device")
    }
    text = shadow.human("device_add help")
    offers = _OFFER.findall(text)
    offered = {name: bus for plain, bus, alias in offers for name in (plain, alias) if name}
    return Inventory(
        version=shadow.version,
        commands=frozenset(entry["name"] for entry in shadow.ask("query-commands")),
        human=frozenset(human_names(shadow.human("help"))),
        objects=frozenset(types["user-creatable"]),
        drivers=offered,
        parts=frozenset(types["device"] - offered.keys()),
        chardevs=_branches(schema, "chardev-add", "backend"),
        netdevs=_branches(schema, "netdev_add", None),
        arguments=frozenset(
            name for driver, *_ in offers if _plugs(driver) for name in _takes(shadow, driver)
        ),
        schema=schema,
    )


_OFFER = re.compile(r'^name "([^"]+)"(?:, bus ([^,\s]+))?(?:, alias "([^"]+)")?', re.MULTILINE)


def _plugs(driver: str) -> bool:
    """Say whether its arguments matter: a CPU takes its place, and a thousand flags."""
    row = TABLE.find(driver)
    # Only of drivers that pass: to ask 7.2 for those of virtio-gpu-gl-pci is to end it.
    return row is not None and row.kind is not Class.REFUSED and not driver.endswith("-cpu")


def _takes(shadow: Shadow, driver: str) -> Iterator[str]:
    for entry in shadow.ask("device-list-properties", typename=driver):
        if not entry["type"].startswith("child<"):
            yield entry["name"]


def human_names(text: str) -> Iterator[str]:
    """Yield the names in what ``help`` prints, aliases too."""
    for line in text.replace("\r", "").splitlines():
        found = re.match(r"([a-z_?][\w|?-]*)(?: .*)? -- |(drive_add|[a-z]+_[a-z_]+) \[", line)
        if found:
            yield from (found[1] or found[2]).split("|")


def _branches(
    schema: Mapping[str, Mapping[str, Any]], command: str, member: str | None
) -> frozenset[str]:
    """Return the values of the tag of a union that a command takes."""
    kind = schema[schema[command]["arg-type"]]
    if member:
        kind = schema[next(m["type"] for m in kind["members"] if m["name"] == member)]
    return frozenset(variant["case"] for variant in kind["variants"])


class _Bench:
    """A shadow that is renewed when something was done to it."""

    def __init__(self, program: str, machine: str, folder: Path, *, qtest: bool) -> None:
        self._program, self._words, self._folder = program, scene.words(machine), folder
        self._qtest = qtest
        self._template = folder / "template"
        self._template.mkdir(parents=True)
        scene.prepare(self._template)
        self._shadow: Shadow | None = None
        self._count = 0
        self._opened = Opened([path for path in HOST_DEVICES if path.exists()])

    def close(self) -> None:
        self.renew()
        self._opened.close()

    def renew(self) -> None:
        if self._shadow:
            self._shadow.close()
            shutil.rmtree(self._shadow.folder)
        self._shadow = None

    def shadow(self) -> Shadow:
        if self._shadow is None:
            self._count += 1
            folder = self._folder / str(self._count)
            shutil.copytree(self._template, folder, symlinks=True)
            shadow = self._shadow = self._start(folder)
            if shadow.pci:
                shadow.pci.number()
                shadow.pci.program(roms=False)
                shadow.pci.program(roms=True)
            # Nobody answers at the scene's one socket, or every experiment would show it.
            self._before, self._tree = shadow.seen(knock=False), shadow.tree()
            self._opened.since()
        return self._shadow

    def _start(self, folder: Path) -> Shadow:
        for left in reversed(range(_STARTS)):
            try:
                return Shadow(self._program, self._words, folder, qtest=self._qtest)
            except ShadowDiedError:
                # A busy machine; what cannot start at all fails each time.
                if not left:
                    raise
                (folder / "vhost").unlink(missing_ok=True)
                (folder / "c0").unlink(missing_ok=True)
        raise AssertionError

    def give(self, outcome: Outcome, name: str, before: Sequence[Command], acts: _Acts) -> None:
        """Do something to it: the first of *acts* that it takes."""
        shadow, seen = self.shadow(), self._before
        asks = bool(_ASKS.match(name))
        try:
            if before:
                _do(shadow, before)
                seen = shadow.seen(knock=False)
            for commands in acts:
                if not (words := _do(shadow, commands)):
                    break
            if _SLOW.match(name) and not words:
                time.sleep(_SLOW_SECONDS)
            effects = self._effects(shadow, seen, taken=not words, asks=asks)
        except (ShadowDiedError, OSError):
            words, effects = self._silent(shadow, ends=name in _ENDS)
            self.renew()
        else:
            if effects or before or not (words or asks):
                self.renew()
        self._take_down(outcome, effects)
        outcome.taken |= not words
        outcome.words = outcome.words or words

    def _take_down(self, outcome: Outcome, effects: set[Effect]) -> None:
        outcome.effects |= effects
        if self._opened.since():
            outcome.effects.add(Effect.HOST_DEVICE)

    def _silent(self, shadow: Shadow, *, ends: bool) -> tuple[str, set[Effect]]:
        """Say why nobody answers: another program, nobody, or one that waits for somebody."""
        program = shadow.program()
        if program and program != self._before.program:
            return "", {Effect.PROGRAM}
        if program:
            return "blocks", set()
        return "", set() if ends else {Effect.DIES}

    def start_with(self, outcome: Outcome, acts: _Acts) -> None:
        """Start a shadow with a device that cannot be plugged into a running one."""
        self.shadow()
        self.renew()
        folder = self._folder / "cold"
        for [(_, arguments)] in acts:
            shutil.copytree(self._template, folder, symlinks=True)
            words = [*self._words, "-device", json.dumps(arguments)]
            try:
                with Shadow(self._program, words, folder) as shadow:
                    effects = self._effects(shadow, self._before, taken=True, asks=False)
                    self._take_down(outcome, effects)
                    outcome.at_start = True
            except (ShadowDiedError, OSError) as exc:
                # Its last line says why it does not start.
                outcome.words = str(exc.args[0]).strip().rpartition("\n")[2]
                self._take_down(outcome, set())
            shutil.rmtree(folder)
            if outcome.at_start:
                return

    def _effects(self, shadow: Shadow, before: Seen, *, taken: bool, asks: bool) -> set[Effect]:
        after = shadow.seen(knock=not asks)
        effects = set(effects_between(before, after))
        if shadow.pci and taken and not asks and Effect.MAP not in effects:
            shadow.pci.number()
            shadow.pci.program(roms=False)
            bars, tree = shadow.memory(), shadow.tree()
            known = after.memory | self._before.memory
            if bars - known or tree - self._tree:
                effects.add(Effect.RAM_BAR)
            shadow.pci.program(roms=True)
            if shadow.memory() - bars - known or shadow.tree() - tree - self._tree:
                effects.add(Effect.ROM_BAR)
        return effects


def _do(shadow: Shadow, commands: Sequence[Command]) -> str:
    """Give commands; return QEMU's words of refusal for the last, or nothing."""
    words = ""
    for name, arguments in commands:
        reply = shadow.execute(name, arguments)
        if "error" in reply:
            words = str(reply["error"]["desc"])
        elif name == "human-monitor-command" and _REFUSAL.match(reply["return"]):
            words = reply["return"].strip()
        else:
            words = ""
    return words


def measure(
    program: str, machine: str, say: Callable[[str], None], only: str = ""
) -> tuple[Inventory, dict[tuple[str, str], Outcome]]:
    """Return what a QEMU knows, and what each of it does, by table and name.

    :param only: a regular expression for the names.
    """
    wanted = re.compile(only or ".*")
    found: dict[tuple[str, str], Outcome] = {}
    with tempfile.TemporaryDirectory(prefix="guard-effects-") as place:
        folder = Path(place)
        # QEMU has one qtest: where an object of that type is made, the scene can have none.
        benches = {
            qtest: _Bench(program, machine, folder / str(qtest), qtest=qtest)
            for qtest in (True, False)
        }
        try:
            known = inventory(benches[True].shadow())
            for table, name, before, acts in _experiments(known):
                if not wanted.fullmatch(name.partition(",")[0]):
                    continue
                say(f"{known.version} {machine} {table} {name}")
                outcome = found.setdefault((table, name), Outcome())
                bench = benches[name not in _OBJECTS and table != "object"]
                bench.give(outcome, name, before, acts)
                if table == "driver" and not outcome.taken and not name.endswith("-cpu"):
                    bench.start_with(outcome, acts)
        finally:
            for bench in benches.values():
                bench.close()
    return known, found


def _experiments(known: Inventory) -> Iterator[tuple[str, str, Sequence[Command], _Acts]]:
    """Yield table, name, what comes in front, and what to do, of which the first taken counts."""
    simple: list[tuple[str, frozenset[str], Callable[[str], Iterable[Experiment]]]] = [
        ("command", known.commands, lambda name: command_cases(name, known.schema)),
        ("human", known.human, human_lines),
        ("chardev", known.chardevs, lambda name: [chardev_case(name)]),
        ("netdev", known.netdevs, lambda name: [netdev_case(name)]),
        ("object", known.objects, lambda name: [object_case(name)]),
    ]
    for table, names, cases in simple:
        for name in sorted(names):
            for before, commands in cases(name):
                yield table, name, before, [commands]
    for name, (before, commands) in property_cases():
        yield "property", name, before, [commands]
    for driver, bus in sorted(known.drivers.items()):
        for told, before, choices in device_cases(driver, pci=bus == "PCI"):
            yield "driver", told, before, [[("device_add", choice)] for choice in choices]
