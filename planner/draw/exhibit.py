"""What is to be shown, whatever it was read from: a plan, a plan's file, a map or a host.

Everything that can be shown becomes one :class:`Exhibit`; pictures and comparisons know nothing
else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from planner.documents.plan import DocumentError, read_forbidden, read_map
from planner.findings import CODES, Finding, Severity
from planner.host.profile import Group, HostProfile
from planner.judge.forbidden import Binding, Forbidden, shorten
from planner.place.plan import Plan
from planner.region import GuestMap, Kind, Origin, Region, Window, WindowKind
from planner.span import Span, SpanSet
from planner.units import show_size

__all__ = ["Advice", "Exhibit", "of_map", "of_map_document", "of_plan", "of_plan_document"]

MAP_FORMAT = "guestmap/map"


@dataclass(frozen=True, slots=True, order=True)
class Advice:
    """A range of a host that binds no plan: relaxable, of a bridge, or of a group nobody gets."""

    host: str
    span: Span
    kind: str
    name: str
    groups: tuple[str, ...] = ()
    origin: str = ""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One thing to show."""

    title: str
    facts: tuple[str, ...]
    guest: GuestMap | None = None
    #: The map before anything moved, where its memory was elsewhere.
    asked: GuestMap | None = None
    hosts: tuple[str, ...] = ()
    forbidden: tuple[Forbidden, ...] = ()
    advice: tuple[Advice, ...] = ()
    #: None when no host is told of.
    usable: SpanSet | None = None
    #: The doorbell that was chosen, and why it is there.
    doorbell: Span | None = None
    doorbell_words: str = ""
    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()


def of_plan(plan: Plan) -> Exhibit:
    """Return a plan as made."""
    spec = plan.layout.machine
    asked = plan.asked
    if asked and plan.guest and asked.ram() == plan.guest.ram():
        asked = None
    facts = [
        f"{show_size(plan.layout.memory.size)} on {f'{spec.type} {spec.version}'.strip()}",
        f"scope {plan.binding.scope.value}",
        "planned" if plan.ok else "cannot be planned",
    ]
    if plan.doorbell:
        facts.append(_doorbell_fact(plan.doorbell.span, plan.doorbell.choice.value))
    return Exhibit(
        plan.layout.name,
        tuple(facts),
        plan.guest,
        asked,
        tuple(host.name for host in plan.binding.hosts),
        plan.binding.forbidden,
        _advice(plan.binding),
        _usable(plan.binding),
        plan.doorbell.span if plan.doorbell else None,
        plan.doorbell.reason if plan.doorbell else "",
        plan.findings,
    )


def of_map(
    title: str, guest: GuestMap | None, binding: Binding | None, findings: Iterable[Finding] = ()
) -> Exhibit:
    """Return a map, the hosts it is to run on, or both.

    :param binding: None when no host is told of.
    """
    facts: list[str] = []
    if guest:
        facts.append(f"{guest.machine}, QEMU {guest.qemu}" if guest.qemu else guest.machine)
        facts.append(f"{show_size(_memory(guest))} of memory" if guest.ram() else "no memory")
        facts.append(_SOURCES.get(guest.source, guest.source))
    if binding:
        facts.append(f"scope {binding.scope.value}")
        facts += [fact for host in binding.hosts for fact in _host_facts(host)]
    return Exhibit(
        title,
        tuple(facts),
        guest,
        None,
        tuple(host.name for host in binding.hosts) if binding else (),
        binding.forbidden if binding else (),
        _advice(binding) if binding else (),
        _usable(binding) if binding else None,
        findings=tuple(sorted(set(findings), key=Finding.urgency)),
        notes=guest.notes if guest else (),
    )


_SOURCES = {
    "model": "from the machine tables",
    "probe": "probed",
    "live": "read from a running QEMU",
    "layout": "from a layout",
}


def _memory(guest: GuestMap) -> int:
    return sum(span.size for span in guest.ram())


def _host_facts(host: HostProfile) -> list[str]:
    bits = host.address_bits
    count = len(host.groups)
    return [
        f"{host.name}: {count} {'group' if count == 1 else 'groups'}, "
        + (f"{bits} address bits" if bits else "address bits unknown")
    ]


def _doorbell_fact(span: Span | None, choice: str) -> str:
    return f"doorbell [{span}] ({choice})" if span else "no doorbell"


def _usable(binding: Binding) -> SpanSet:
    """Return what every host leaves; a host that knows no group leaves nothing to judge by."""
    return binding.usable if all(host.groups for host in binding.hosts) else SpanSet()


def _advice(binding: Binding) -> tuple[Advice, ...]:
    found: dict[tuple[str, Span, str], tuple[str, str, list[str]]] = {}

    def add(key: tuple[str, Span, str], name: str, origin: Origin, group: Group | None) -> None:
        entry = found.setdefault(key, (name, str(origin), []))
        if group:
            entry[2].append(group.id)

    for host in binding.hosts:
        for group in host.groups:
            if host.refuses(group):
                for region in group.direct:
                    kind = "direct, of a group that cannot be assigned"
                    add((host.name, region.span, kind), region.type, region.origin, group)
        for group in host.groups_in(binding.scope, binding.devices):
            for region in group.regions:
                if not region.forbids:
                    kind = "allowed to guest memory"
                    add((host.name, region.span, kind), region.type, region.origin, group)
        for window in host.bridge_windows:
            kind = "host bridge window, advisory"
            add((host.name, window.aliases, kind), window.name, window.origin, None)
    return tuple(
        sorted(
            Advice(host, span, kind, name, tuple(groups), origin)
            for (host, span, kind), (name, origin, groups) in found.items()
        )
    )


def groups_fact(groups: tuple[str, ...]) -> str:
    """Say which groups: ``groups 27, 28``."""
    return f"{'group' if len(groups) == 1 else 'groups'} {shorten(groups)}"


def of_plan_document(document: Mapping[str, Any]) -> Exhibit:
    """Return a plan read from its JSON.

    :raise DocumentError: it is damaged, or of another version.
    """
    if document.get("version") != 1:
        raise DocumentError(
            f"the plan has version {document.get('version')}, this guestmap reads 1"
        )
    regions, windows = read_map(document)
    forbidden = read_forbidden(document)
    try:
        machine, memory = document["machine"], int(document["ram"]["size"], 16)
        doorbell = _span(document["doorbell"]) if "base" in document["doorbell"] else None
        own = {_span(entry) for entry in document["doorbell"].get("machine_windows", ())}
        told = [
            replace(
                region,
                origin=Origin(str(entry.get("origin", "the plan"))),
                doorbell=region.span in own,
            )
            for region, entry in zip(regions, document["regions"], strict=True)
        ]
        guest = GuestMap("model", machine["type"], "", tuple(told), windows) if told else None
        facts = (
            f"{show_size(memory)} on {machine['type']} {machine['version']}".strip(),
            f"scope {document['scope']}",
            "planned" if document["ok"] else "cannot be planned",
            _doorbell_fact(doorbell, document["doorbell"]["choice"]),
        )
        return Exhibit(
            str(document["layout"]),
            facts,
            guest,
            None,
            tuple(document["hosts"]),
            forbidden,
            (),
            SpanSet(_span(entry) for entry in document["usable"]),
            doorbell,
            str(document["doorbell"].get("reason", "")),
            tuple(_finding(entry) for entry in document["findings"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"the plan is damaged: {error!r}") from error


def of_map_document(document: Mapping[str, Any]) -> GuestMap:
    """Return a map read from what ``guestmap map --json`` printed.

    :raise DocumentError: it is damaged, or of another version.
    """
    if document.get("version") != 1:
        raise DocumentError(f"the map has version {document.get('version')}, this guestmap reads 1")
    origin = Origin(f"a map of source '{document.get('source')}'")
    try:
        regions = tuple(
            Region(_span(entry), entry["name"], Kind(entry["kind"]), origin)
            for entry in document["regions"]
        )
        windows = tuple(
            Window(_span(entry), entry["name"], WindowKind(entry["name"]), origin)
            for entry in document["windows"]
        )
        return GuestMap(
            str(document["source"]),
            str(document["machine"]),
            str(document["qemu"]),
            regions,
            windows,
            notes=tuple(map(str, document.get("notes", ()))),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"the map is damaged: {error!r}") from error


def _finding(entry: Mapping[str, Any]) -> Finding:
    code = entry["code"]
    if code not in CODES:
        raise DocumentError(f"the plan has a finding '{code}' that this guestmap does not know")
    return Finding(
        code,
        str(entry["message"]),
        str(entry["help"]),
        notes=tuple(map(str, entry.get("notes", ()))),
        overlap=_span(entry["overlap"]) if "overlap" in entry else None,
        level=Severity(entry["severity"]),
    )


def _span(entry: Mapping[str, str]) -> Span:
    return Span.inclusive(int(entry["base"], 16), int(entry["last"], 16))
