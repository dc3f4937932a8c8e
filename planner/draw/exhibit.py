"""What is to be shown, whatever it was read from: a plan, a plan's file, a map or a host.

Everything that can be shown becomes one :class:`Exhibit`; pictures and comparisons know nothing
else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from planner.documents.plan import PlanDocument
from planner.findings import Finding
from planner.host.profile import Group, HostProfile
from planner.judge.forbidden import Binding, Forbidden
from planner.place.plan import Plan
from planner.region import GuestMap, Origin
from planner.span import Span, SpanSet
from planner.units import show_size

__all__ = ["Advice", "Exhibit", "of_map", "of_plan", "of_plan_document"]


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


def of_plan_document(plan: PlanDocument) -> Exhibit:
    """Return a plan read from its JSON."""
    return Exhibit(
        plan.layout,
        (
            f"{show_size(plan.memory_bytes)} on {plan.machine}",
            f"scope {plan.scope}",
            "planned" if plan.ok else "cannot be planned",
            _doorbell_fact(plan.doorbell, plan.choice),
        ),
        plan.guest,
        None,
        plan.hosts,
        plan.forbidden,
        usable=plan.usable,
        doorbell=plan.doorbell,
        doorbell_words=plan.reason,
        findings=plan.findings,
    )
