"""What a set of hosts forbids a guest, with names: the host side of every judgement.

The union over hosts is what lets a guest move between them: a byte is usable when every host in the
fleet lets every group in scope use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from planner.findings import Party
from planner.host.profile import Group, HostProfile, HostRegion, Scope
from planner.region import Origin
from planner.span import ADDRESS_LIMIT, Span, SpanSet

__all__ = ["BEYOND_APERTURE", "PINNED_DOORBELL", "UNKNOWN_FACTS", "Binding", "Forbidden", "bind"]

#: Type word for what lies above the IOMMU's address bits; no kernel prints it.
BEYOND_APERTURE = "beyond-aperture"
#: Type word for a whole host about whose group we know too little.
UNKNOWN_FACTS = "unknown-facts"
#: Type word for a doorbell that the layout pins: RAM goes around it as around a host's region.
PINNED_DOORBELL = "pinned-doorbell"


@dataclass(frozen=True, slots=True, order=True)
class Forbidden:
    """One range a host forbids, with every group that says so."""

    span: Span
    #: The kernel's word, or one of the type words above.
    type: str
    host: str
    groups: tuple[str, ...] = ()
    devices: tuple[str, ...] = ()
    origin: Origin = field(default=Origin(""), compare=False)

    @property
    def party(self) -> Party:
        """This range as one side of a finding."""
        return Party(
            name=self.type,
            kind=self.type,
            span=self.span,
            origin=self.origin,
            host=self.host,
            groups=self.groups,
            devices=self.devices,
        )

    @property
    def beyond(self) -> bool:
        """Whether it is what lies above the IOMMU's address bits."""
        return self.type == BEYOND_APERTURE

    @property
    def title(self) -> str:
        """Its word, short: ``msi``, or ``above the IOMMU``."""
        return "above the IOMMU" if self.beyond else self.type

    def met(self, *, would: bool = False) -> str:
        """Say in a sentence that something meets this range: ``covers msi [...] on a``."""
        if self.beyond:
            verb = "would reach into" if would else "reaches into"
        else:
            verb = "would cover" if would else "covers"
        return f"{verb} {self.words}"

    @property
    def words(self) -> str:
        """This range in a sentence: type, range, groups with devices, host.

        >>> Forbidden(Span.inclusive(0xFEE00000, 0xFEEFFFFF), "msi", "a", ("3",), ("eth0",)).words
        'msi [0xfee00000-0xfeefffff] of group 3 (eth0) on a'
        """
        text = f"{self.type} [{self.span}]"
        if self.beyond:
            bits = self.span.start.bit_length() - 1
            text = f"what is above the IOMMU's {bits} bits [{self.span}]"
        if self.groups:
            text += f" of {groups_words(self.groups)}"
        if self.devices:
            text += f" ({shorten(self.devices)})"
        return f"{text} on {self.host}" if self.host else text


def shorten(names: Sequence[str], most: int = 4) -> str:
    """Join names for a sentence; past *most*, say how many more there are."""
    if len(names) <= most + 1:
        return ", ".join(names)
    return f"{', '.join(names[:most])} and {len(names) - most} more"


def groups_words(groups: Sequence[str]) -> str:
    """Name groups in a sentence: ``group 27``, ``groups 1, 2, 3, 4 and 9 more``."""
    return f"{'group' if len(groups) == 1 else 'groups'} {shorten(groups)}"


@dataclass(frozen=True, slots=True)
class Binding:
    """The hosts and what they forbid in one scope."""

    hosts: tuple[HostProfile, ...]
    scope: Scope
    devices: tuple[str, ...]
    #: Sorted by address, then type, host.
    forbidden: tuple[Forbidden, ...]

    @property
    def holes(self) -> SpanSet:
        """Every byte somebody forbids."""
        return SpanSet(entry.span for entry in self.forbidden)

    @property
    def usable(self) -> SpanSet:
        """Every byte nobody forbids, up to 2**64."""
        return self.holes.gaps()

    @property
    def aperture_bits(self) -> int | None:
        """The narrowest known IOMMU width, or None when no host's is known."""
        starts = [e.span.start for e in self.forbidden if e.beyond]
        return min(starts).bit_length() - 1 if starts else None

    def msi_windows(self) -> SpanSet:
        """Return the hosts' own MSI windows."""
        return SpanSet(entry.span for entry in self.forbidden if entry.type == "msi")

    def only(self, host: str) -> Binding:
        """Return the binding of one host alone."""
        kept = tuple(profile for profile in self.hosts if profile.name == host)
        return bind(kept, self.scope, self.devices)


def bind(hosts: Iterable[HostProfile], scope: Scope, devices: Iterable[str]) -> Binding:
    """Collect what the hosts forbid in a scope.

    A host that lacks a named device cannot be judged by that device's group, so all of its groups
    bind: the guest may be given any of them there.

    :param devices: host devices named by the layout, at launch or for hotplug.
    """
    wanted = tuple(sorted(set(devices)))
    listed = tuple(sorted(hosts, key=lambda profile: profile.name))
    found: list[Forbidden] = []
    for host in listed:
        missing = any(host.group_of(device) is None for device in wanted)
        effective = Scope.HOST if missing else scope
        found += _of_host(host, host.groups_in(effective, wanted))
    return Binding(listed, scope, wanted, tuple(sorted(found)))


def _of_host(host: HostProfile, groups: Sequence[Group]) -> list[Forbidden]:
    """Gather equal regions of the host's groups into one entry each."""
    sayers: dict[tuple[Span, str], tuple[HostRegion, list[Group]]] = {}
    for group in groups:
        for region in group.regions:
            if region.forbids:
                sayers.setdefault((region.span, region.type), (region, []))[1].append(group)
    found = [
        _entry(host, region.span, region.type, members, region.origin)
        for region, members in sayers.values()
    ]
    unknown = [group for group in groups if not group.whole]
    if unknown or not host.groups:
        origin = Origin("facts that are not whole")
        found.append(_entry(host, Span(0, ADDRESS_LIMIT), UNKNOWN_FACTS, unknown, origin))
    found += _beyond(host, groups)
    return found


def _beyond(host: HostProfile, groups: Sequence[Group]) -> list[Forbidden]:
    """Return what lies above the address bits; the IOMMU units of one host can differ."""
    widths: dict[int, list[Group]] = {}
    for group in groups:
        bits = host.bits_of(group)
        if bits is not None and bits < 64:
            widths.setdefault(bits, []).append(group)
    if not groups and host.address_bits is not None and host.address_bits < 64:
        widths[host.address_bits] = []
    return [
        _entry(
            host,
            Span(1 << bits, ADDRESS_LIMIT),
            BEYOND_APERTURE,
            # When every group is alike, naming them all says nothing.
            members if len(widths) > 1 else [],
            Origin(f"the IOMMU's width of {bits} address bits"),
        )
        for bits, members in sorted(widths.items())
    ]


def _entry(
    host: HostProfile, span: Span, word: str, groups: Sequence[Group], origin: Origin
) -> Forbidden:
    return Forbidden(
        span,
        word,
        host.name,
        tuple(group.id for group in groups),
        tuple(member.name for group in groups for member in group.devices),
        origin,
    )
