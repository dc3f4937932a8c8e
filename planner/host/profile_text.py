"""A host profile as YAML text, which :mod:`planner.host.profile_file` reads back."""

from __future__ import annotations

from collections import Counter
from typing import Any

from planner.findings import CODES, Finding
from planner.host.profile import BridgeWindow, Group, HostProfile, HostRegion
from planner.host.profile_schema import PROFILE, SCHEMA_ID
from planner.text.canonical import write

__all__ = ["write_profile"]

#: Derived again at each reading, so never written.
_DERIVED = frozenset({"MM314"})


def write_profile(profile: HostProfile) -> str:
    """Return the profile file's text.

    Groups that reserve what most groups do leave it to the ``regions`` at the top.
    """
    shared = _commonest(profile)
    noticed = [finding for finding in profile.findings if finding.code not in _DERIVED]
    values = {
        "schema": "1",
        "host": _told(
            name=profile.name,
            kernel=profile.kernel,
            iommu=profile.iommu,
            address_bits=profile.address_bits,
            page_size=profile.page_bytes and f"{profile.page_bytes:#x}",
            doorbells=profile.doorbells,
            isolated_msi=profile.isolated_msi,
            source=profile.source,
            derived=profile.derived or None,
        ),
        "groups": [_group(group, shared) for group in profile.groups],
        **_told(
            regions=[*map(_line, shared)],
            bridge_windows=[*map(_window, profile.bridge_windows)],
            noticed=[*map(_noticed, noticed)],
        ),
    }
    return write(values, PROFILE, f"# yaml-language-server: $schema={SCHEMA_ID}")


def _told(**values: Any) -> dict[str, Any]:
    """Return what there is to say, keys as YAML has them."""
    return {
        key.strip("_").replace("_", "-"): _text(value)
        for key, value in values.items()
        if value not in (None, "", [])
    }


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


def _commonest(profile: HostProfile) -> tuple[HostRegion, ...]:
    """Return the regions that most groups have, none when no two agree."""
    counted = Counter(_facts(group.regions) for group in profile.groups if group.whole)
    counted.pop((), None)
    if not counted or max(counted.values()) < 2:
        return ()
    # The lowest of equally common ones, so that the text does not depend on the groups' order.
    best = min(counted, key=lambda facts: (-counted[facts], facts))
    return next(group.regions for group in profile.groups if _facts(group.regions) == best)


def _facts(regions: tuple[HostRegion, ...]) -> tuple[tuple[int, int, str], ...]:
    return tuple((region.span.start, region.span.end, region.type) for region in regions)


def _group(group: Group, shared: tuple[HostRegion, ...]) -> dict[str, Any]:
    values = {"id": group.id} | _told(
        type=group.type,
        address_bits=group.address_bits,
        whole=None if group.whole else False,
        devices=[
            _told(
                name=device.name,
                vendor=device.vendor,
                device=device.device,
                class_=device.class_code,
                driver=device.driver,
            )
            for device in group.devices
        ],
    )
    if not group.whole or not shared or _facts(group.regions) != _facts(shared):
        values["regions"] = [*map(_line, group.regions)]
    return values


def _line(region: HostRegion) -> str:
    return f"{region.span.start:#018x} {region.span.last:#018x} {region.type}"


def _window(window: BridgeWindow) -> dict[str, Any]:
    return _told(
        name=window.name,
        base=f"{window.span.start:#x}",
        last=f"{window.span.last:#x}",
        bus=window.bus and f"{window.bus.start:#x}",
    )


def _noticed(finding: Finding) -> dict[str, Any]:
    named = finding.severity is not CODES[finding.code].severity
    return {"code": finding.code, "message": finding.message} | _told(
        help=finding.help,
        severity=finding.severity.value if named else None,
        groups=[id_ for party in finding.parties for id_ in party.groups],
    )
