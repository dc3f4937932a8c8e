"""What was seen, kept as a file for each version: names by table and effect."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from effects.measure import Inventory, Outcome
from effects.shadow import Effect

__all__ = ["Record", "records"]

FOLDER = Path(__file__).parent / "seen"
#: Said of what QEMU did not take, or took at its start only.
NOT_TAKEN, AT_START, NOTHING = "not taken", "at start", "nothing"


@dataclass(slots=True)
class Record:
    """What one QEMU version knows, and what that did on any of its machines."""

    version: str
    #: Outcome by table and name.
    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    #: Devices that no ``device_add`` takes.
    parts: set[str] = field(default_factory=set)

    def add(self, known: Inventory, found: Mapping[tuple[str, str], Outcome]) -> None:
        """Add what one machine showed."""
        self.parts = (self.parts or set(known.parts)) | known.parts
        for place, outcome in found.items():
            mine = self.outcomes.setdefault(place, Outcome())
            mine.taken |= outcome.taken
            mine.at_start |= outcome.at_start
            mine.effects |= outcome.effects
        self.parts -= {name for table, name in self.outcomes if table == "driver"}

    def label(self, table: str, name: str) -> str:
        """Return what was seen in a few words; empty when this version does not have it."""
        outcome = self.outcomes.get((table, name))
        if outcome is None:
            return ""
        effects = ", ".join(sorted(outcome.effects))
        if outcome.taken:
            return effects or NOTHING
        words = AT_START if outcome.at_start else NOT_TAKEN
        return f"{words}: {effects}" if effects else words

    def names(self, table: str) -> Iterator[str]:
        """Yield the names of a table, without experiments that only add an argument."""
        for each, name in self.outcomes:
            if each == table and "=" not in name:
                yield name

    def write(self, folder: Path = FOLDER) -> None:
        """Write it as a file."""
        told: dict[str, dict[str, list[str]]] = {}
        groups: dict[tuple[str, str], list[str]] = {}
        for table, name in self.outcomes:
            groups.setdefault((table, self.label(table, name)), []).append(name)
        for (table, label), names in sorted(groups.items()):
            told.setdefault(table, {})[label] = _lines(names)
        told["part"] = {NOT_TAKEN: _lines(self.parts)}
        folder.mkdir(exist_ok=True)
        text = json.dumps({"version": self.version, "seen": told}, indent=1)
        (folder / f"{self.version}.json").write_text(text + "\n", encoding="utf-8")


def records(folder: Path = FOLDER) -> list[Record]:
    """Read the files, oldest version first."""
    found = [_read(path) for path in folder.glob("*.json")]
    return sorted(found, key=lambda record: [int(part) for part in record.version.split(".")])


def _read(path: Path) -> Record:
    told = json.loads(path.read_text(encoding="utf-8"))
    record = Record(told["version"])
    for table, groups in told["seen"].items():
        for label, lines in groups.items():
            names = " ".join(lines).split()
            if table == "part":
                record.parts.update(names)
                continue
            first, _, rest = label.partition(": ")
            taken = first not in {NOT_TAKEN, AT_START}
            listed = rest if not taken else "" if first == NOTHING else first
            for name in names:
                record.outcomes[table, name] = Outcome(
                    taken=taken,
                    effects={Effect(word) for word in listed.split(", ") if word},
                    at_start=first == AT_START,
                )
    return record


def _lines(names: Iterable[str]) -> list[str]:
    return textwrap.wrap(
        " ".join(sorted(names)), 96, break_long_words=False, break_on_hyphens=False
    )
