"""Two exhibits compared: before and after, two hosts, a plan and the real map."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, replace
from difflib import unified_diff
from typing import Any

from planner.draw.columns import Fates, clashes_of, exhibit_columns
from planner.draw.exhibit import Exhibit
from planner.draw.scene import Column, Fate, Role, Scene, make_scene
from planner.findings import span_json
from planner.region import GuestMap
from planner.span import Span
from planner.text.harmless import harmless
from planner.units import show_size

__all__ = ["Change", "Difference", "compare", "difference_json", "difference_scene", "unified_text"]

FORMAT = "guestmap/diff"
VERSION = 1


@dataclass(frozen=True, slots=True, order=True)
class _Item:
    """One thing that has a place."""

    #: ``guest``, ``window``, ``doorbell``, or ``host:`` and its name.
    side: str
    span: Span
    kind: str
    name: str

    @property
    def stem(self) -> str:
        """The name without the address that only makes it unique."""
        return self.name.removesuffix(f"@{self.span.start:#x}")

    @property
    def line(self) -> str:
        """The thing as a line of a unified diff."""
        words = self.stem if self.kind in ("", self.stem) else f"{self.stem} ({self.kind})"
        return harmless(f"{self.span}  {show_size(self.span.size)}  {self.side}  {words}")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; a side that is absent has no span."""

    fate: Fate
    before: _Item | None
    after: _Item | None

    @property
    def item(self) -> _Item:
        """The thing itself, as it was or as it has come."""
        found = self.before or self.after
        assert found is not None
        return found

    @property
    def words(self) -> str:
        """The difference in one line."""
        item = self.item
        name = item.stem if item.kind in ("", item.stem) else f"{item.stem} ({item.kind})"
        text = f"{item.side}: {name}"
        if self.before is None or self.after is None:
            text += f" {self.fate.value}: [{item.span}], {show_size(item.span.size)}"
            return harmless(text)
        new = self.after
        if item.span == new.span:
            return harmless(f"{text} is now {new.stem} ({new.kind}) at [{item.span}]")
        text += f" {self.fate.value}: [{item.span}] is now [{new.span}]"
        if item.span.size != new.span.size:
            text += f", {show_size(item.span.size)} is now {show_size(new.span.size)}"
        return harmless(text)


@dataclass(frozen=True, slots=True)
class Difference:
    """What differs between two exhibits; *changes* is empty when they are alike."""

    first: Exhibit
    second: Exhibit
    changes: tuple[Change, ...]
    #: What only one of the two tells of, and so was not compared.
    uncompared: tuple[str, ...]


def compare(first: Exhibit, second: Exhibit) -> Difference:
    """Compare what both tell of: a plan has hosts and a real map has none, so those are left out.

    :raise ValueError: the two have nothing in common, as a host and a map.
    """
    both_guests = first.guest is not None and second.guest is not None
    both_hosts = bool(first.hosts and second.hosts)
    if not both_guests and not both_hosts:
        raise ValueError(f"'{first.title}' and '{second.title}' have nothing to compare")
    both_bells = first.doorbell is not None and second.doorbell is not None
    alone = len(first.hosts) == len(second.hosts) == 1
    kept = (both_guests, both_hosts, both_bells, alone)
    changes = _changes(_items(first, *kept), _items(second, *kept))
    left = [
        word
        for word, both, one in (
            ("guest", both_guests, first.guest or second.guest),
            ("hosts", both_hosts, first.hosts or second.hosts),
            ("doorbell", both_bells, first.doorbell or second.doorbell),
        )
        if one and not both
    ]
    return Difference(first, second, tuple(changes), tuple(left))


def _items(exhibit: Exhibit, guest: bool, hosts: bool, bell: bool, alone: bool) -> list[_Item]:
    found: list[_Item] = []
    if guest and exhibit.guest:
        found += _guest_items(exhibit.guest)
    if bell and exhibit.doorbell:
        found.append(_Item("doorbell", exhibit.doorbell, "", "MSI doorbell"))
    if hosts:
        found += {
            # Two single hosts are compared with each other, whatever their names are.
            _Item("host" if alone else f"host {entry.host}", entry.span, "", entry.type)
            for entry in exhibit.forbidden
        }
        found += {
            _Item("host" if alone else f"host {each.host}", each.span, each.kind, each.name)
            for each in exhibit.advice
        }
    return sorted(found)


def _guest_items(guest: GuestMap) -> list[_Item]:
    found = [_Item("guest", r.span, r.kind.value, r.name) for r in guest.regions]
    return found + [_Item("window", w.span, w.kind.value, w.kind.value) for w in guest.windows]


_Key = Callable[[_Item], Hashable]


def _changes(before: list[_Item], after: list[_Item]) -> list[Change]:
    """Pair what is the same thing: by place first, then by name."""
    same = set(before) & set(after)
    old = [item for item in before if item not in same]
    new = [item for item in after if item not in same]
    found: list[Change] = []
    keys: tuple[_Key, ...] = (
        lambda item: (item.side, item.span, item.kind),
        lambda item: (item.side, item.span, item.stem),
        lambda item: (item.side, item.name, item.kind),
        lambda item: (item.side, item.stem, item.kind),
    )
    for key in keys:
        waiting: dict[Hashable, list[_Item]] = {}
        for item in new:
            waiting.setdefault(key(item), []).append(item)
        rest: list[_Item] = []
        for item in old:
            twins = waiting.get(key(item))
            if twins:
                twin = twins.pop(0)
                new.remove(twin)
                found.append(Change(_fate_of(item.span, twin.span), item, twin))
            else:
                rest.append(item)
        old = rest
    found += [Change(Fate.REMOVED, item, None) for item in old]
    found += [Change(Fate.ADDED, None, item) for item in new]
    return sorted(found, key=lambda change: (change.item, change.fate))


def _fate_of(before: Span, after: Span) -> Fate:
    if before != after and before.size == after.size:
        return Fate.MOVED
    if before.start == after.start and before.size != after.size:
        return Fate.RESIZED
    return Fate.CHANGED


def difference_json(found: Difference) -> dict[str, Any]:
    """Return a comparison as JSON data."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "first": found.first.title,
        "second": found.second.title,
        "differ": bool(found.changes),
        "uncompared": list(found.uncompared),
        "changes": [
            {
                "change": change.fate.value,
                "side": change.item.side,
                "name": change.item.name,
                "kind": change.item.kind,
                "before": span_json(change.before.span) if change.before else None,
                "after": span_json(change.after.span) if change.after else None,
                "message": change.words,
            }
            for change in found.changes
        ],
    }


def unified_text(found: Difference) -> str:
    """Return the comparison as a unified diff, one line a region, in address order."""
    flags = (
        "guest" not in found.uncompared,
        "hosts" not in found.uncompared,
        "doorbell" not in found.uncompared,
        len(found.first.hosts) == len(found.second.hosts) == 1,
    )
    lines = [
        [item.line for item in sorted(_items(side, *flags), key=lambda i: (i.span, i))]
        for side in (found.first, found.second)
    ]
    names = (harmless(found.first.title), harmless(found.second.title))
    made = unified_diff(lines[0], lines[1], names[0], names[1], lineterm="")
    return "".join(f"{line}\n" for line in made)


def difference_scene(found: Difference, *, collapse: bool = True) -> Scene:
    """Return both on one scale; what differs is marked on either side."""
    first = replace(found.first, asked=None)
    second = replace(found.second, asked=None)
    left = exhibit_columns(first, "a-", _fates(first, found.changes, 0), collapse=collapse)
    right = exhibit_columns(second, "b-", _fates(second, found.changes, 1), collapse=collapse)
    count = len(found.changes)
    facts = [f"{count} difference{'s' * (count != 1)}" if count else "no difference"]
    if found.uncompared:
        facts.append(f"not compared, as only one has it: {', '.join(found.uncompared)}")
    columns = _paired(first, second, left, right)
    shared = any(c.role is Role.HOST and c.key.startswith("ab-") for c in columns)
    clashes = (
        clashes_of(columns)
        if shared
        else clashes_of(c for c in columns if c.key.startswith("a-"))
        + clashes_of(c for c in columns if c.key.startswith("b-"))
    )
    notes = [change.words for change in found.changes]
    title = harmless(f"{first.title} → {second.title}")
    scene = make_scene(title, facts, columns, clashes, notes=notes)
    return replace(scene, notes_are="differences")


def _fates(exhibit: Exhibit, changes: Iterable[Change], number: int) -> Fates:
    """Return what became of the things of the first exhibit (0) or the second (1)."""
    made: dict[tuple[str, str, Span], Fate] = {}
    for change in changes:
        item = (change.before, change.after)[number]
        if item:
            side = f"host {exhibit.hosts[0]}" if item.side == "host" else item.side
            made[side, item.name, item.span] = change.fate
    return made


def _paired(
    first: Exhibit, second: Exhibit, left: Iterable[Column], right: Iterable[Column]
) -> list[Column]:
    """Put the guests first, then hosts and what is usable: once where both sides agree."""
    columns = [(column, 0) for column in left] + [(column, 1) for column in right]
    one_binding = not (first.hosts and second.hosts) or (
        first.hosts,
        first.forbidden,
        first.usable,
    ) == (second.hosts, second.forbidden, second.usable)
    ordered: list[Column] = []
    for role in Role:
        for column, side in columns:
            if column.role is not role:
                continue
            if role is Role.GUEST:
                title = harmless((first, second)[side].title)
                ordered.append(replace(column, title=title, subtitle=_SIDES[side]))
            elif not one_binding:
                ordered.append(replace(column, subtitle=f"{_SIDES[side]}: {column.subtitle}"))
            elif side == 0 or not first.hosts:
                key = f"ab-{column.key}"
                boxes = tuple(replace(box, id=f"a{box.id}") for box in column.boxes)
                ordered.append(replace(column, key=key, boxes=boxes))
    return ordered


_SIDES = ("before", "after")
