"""A host profile as YAML text, which :mod:`planner.host.profile_file` reads back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from planner.findings import CODES, Finding
from planner.host.profile import BridgeWindow, Device, Group, HostProfile, HostRegion

__all__ = ["write_profile"]

#: What YAML of any version takes for this very text; everything else is quoted.
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_+-]*\Z")
_NOT_PLAIN = frozenset({"true", "false", "yes", "no", "on", "off", "null", "y", "n"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
#: Derived again at each reading, so never written.
_DERIVED = frozenset({"MM314"})


def write_profile(profile: HostProfile) -> str:
    """Return the profile file's text.

    Groups that reserve what most groups do leave it to the ``regions`` at the top.
    """
    shared = _commonest(profile)
    lines = ["schema: 1", "host:", *_host(profile)]
    if shared:
        lines += ["regions:", *(f"  - {_region(region)}" for region in shared)]
    lines.append("groups:" if profile.groups else "groups: []")
    for group in profile.groups:
        lines += _group(group, shared)
    if profile.bridge_windows:
        lines.append("bridge-windows:")
        lines += [f"  - {_window(window)}" for window in profile.bridge_windows]
    noticed = [finding for finding in profile.findings if finding.code not in _DERIVED]
    if noticed:
        lines.append("noticed:")
        for finding in noticed:
            lines += _noticed(finding)
    return "\n".join(lines) + "\n"


def _commonest(profile: HostProfile) -> tuple[HostRegion, ...]:
    """Return the regions that most groups have, none when no two agree."""
    counted = Counter(_facts(group) for group in profile.groups if group.whole and group.regions)
    if not counted or max(counted.values()) < 2:
        return ()
    # The lowest of equally common ones, so that the text does not depend on the groups' order.
    best = min(counted, key=lambda facts: (-counted[facts], facts))
    return next(group.regions for group in profile.groups if _facts(group) == best)


def _facts(group: Group) -> tuple[tuple[int, int, str], ...]:
    return tuple((region.span.start, region.span.end, region.type) for region in group.regions)


def _host(profile: HostProfile) -> Iterator[str]:
    yield f"  name: {_quote(profile.name)}"
    if profile.kernel:
        yield f"  kernel: {_quote(profile.kernel)}"
    if profile.iommu:
        yield f"  iommu: {_quote(profile.iommu)}"
    if profile.address_bits is not None:
        yield f"  address-bits: {profile.address_bits}"
    if profile.page_bytes is not None:
        yield f"  page-size: {profile.page_bytes:#x}"
    if profile.doorbells is not None:
        yield f"  doorbells: {profile.doorbells}"
    if profile.isolated_msi is not None:
        yield f"  isolated-msi: {str(profile.isolated_msi).lower()}"
    if profile.source:
        yield f"  source: {_quote(profile.source)}"
    if profile.derived:
        yield "  derived: true"


def _group(group: Group, shared: tuple[HostRegion, ...]) -> Iterator[str]:
    yield f"  - id: {_quote(group.id)}"
    if group.type:
        yield f"    type: {_quote(group.type)}"
    if group.address_bits is not None:
        yield f"    address-bits: {group.address_bits}"
    if not group.whole:
        yield "    whole: false"
    if group.devices:
        yield "    devices:"
        for device in group.devices:
            yield f"      - {_device(device)}"
    if not group.whole or not shared or _facts(group) != _facts_of(shared):
        if group.regions:
            yield "    regions:"
            for region in group.regions:
                yield f"      - {_region(region)}"
        else:
            yield "    regions: []"


def _facts_of(regions: tuple[HostRegion, ...]) -> tuple[tuple[int, int, str], ...]:
    return tuple((region.span.start, region.span.end, region.type) for region in regions)


def _region(region: HostRegion) -> str:
    return _quote(f"{region.span.start:#018x} {region.span.last:#018x} {region.type}")


def _device(device: Device) -> str:
    facts = {
        "name": device.name,
        "vendor": device.vendor,
        "device": device.device,
        "class": device.class_code,
        "driver": device.driver,
    }
    return "{" + ", ".join(f"{key}: {_quote(fact)}" for key, fact in facts.items() if fact) + "}"


def _window(window: BridgeWindow) -> str:
    bus = f", bus: {window.bus.start:#x}" if window.bus else ""
    span = f"base: {window.span.start:#x}, last: {window.span.last:#x}"
    return f"{{name: {_quote(window.name)}, {span}{bus}}}"


def _noticed(finding: Finding) -> Iterator[str]:
    yield f"  - code: {finding.code}"
    yield f"    message: {_quote(finding.message)}"
    if finding.help:
        yield f"    help: {_quote(finding.help)}"
    if finding.severity is not CODES[finding.code].severity:
        yield f"    severity: {finding.severity.value}"
    groups = [id_ for party in finding.parties for id_ in party.groups]
    if groups:
        yield f"    groups: [{', '.join(map(_quote, groups))}]"


def _quote(text: str) -> str:
    """Write a scalar that every YAML reader takes for exactly this text."""
    if _PLAIN.match(text) and text.lower() not in _NOT_PLAIN:
        return text
    return '"' + "".join(map(_escape, text)) + '"'


def _escape(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    if " " <= char <= "~" or (char.isprintable() and char.isalnum()):
        return char
    code = ord(char)
    # A name that is not UTF-8 comes as surrogates, which YAML cannot hold.
    return "?" if 0xD800 <= code <= 0xDFFF else f"\\U{code:08x}"
