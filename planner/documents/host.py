"""The JSON documents about a host: what is forbidden and what is usable, and the bare facts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any

from planner.findings import Finding, span_json
from planner.host.doorbells import LARGEST_PAGE, window_size
from planner.host.profile import BridgeWindow, Device, Group, HostProfile, HostRegion, Scope
from planner.span import SpanSet

__all__ = ["FORMAT", "VERSION", "facts_json", "facts_sha256", "host_document"]

FORMAT = "guestmap/host"
VERSION = 1


def host_document(
    profile: HostProfile,
    scope: Scope = Scope.HOST,
    devices: Iterable[str] = (),
    findings: Iterable[Finding] = (),
) -> dict[str, Any]:
    """Return a host as ``guestmap host --json`` prints it.

    Ranges have their last byte included; addresses and sizes are hex strings.
    """
    return {
        "format": FORMAT,
        "version": VERSION,
        "name": profile.name,
        "kernel": profile.kernel,
        "iommu": profile.iommu,
        "address_bits": profile.address_bits,
        "page_size": None if profile.page_bytes is None else f"{profile.page_bytes:#x}",
        "isolated_msi": profile.isolated_msi,
        "doorbells": profile.doorbells,
        "msi_window_size": f"{msi_window_bytes(profile):#x}",
        "source": profile.source,
        "derived": profile.derived,
        "sha256": profile.sha256,
        "groups": [
            _group_json(group)
            | {
                "usable": _spans_json(group.usable(profile.aperture_of([group]))),
                "refused": profile.refuses(group),
            }
            for group in profile.groups
        ],
        "bridge_windows": [_window_json(window) for window in profile.bridge_windows],
        "scope": scope.value,
        "usable": _spans_json(profile.usable(scope, devices)),
        "findings": [finding.to_json() for finding in findings],
    }


def msi_window_bytes(profile: HostProfile) -> int:
    """Return the bytes the host's doorbells need: of one when their number is not known."""
    return window_size(profile.doorbells or 1, profile.page_bytes or LARGEST_PAGE)


def facts_json(profile: HostProfile) -> dict[str, Any]:
    """Return every fact of a profile in one normal form, without where it was read.

    Two profiles with the same facts, one read from sysfs and one from the file written of it, give
    equal documents.
    """
    return {
        "name": profile.name,
        "kernel": profile.kernel,
        "iommu": profile.iommu,
        "address_bits": profile.address_bits,
        "page_size": profile.page_bytes,
        "isolated_msi": profile.isolated_msi,
        "doorbells": profile.doorbells,
        "source": profile.source,
        "derived": profile.derived,
        "groups": [_group_json(group) for group in profile.groups],
        "bridge_windows": [_window_json(window) for window in profile.bridge_windows],
        "noticed": sorted(
            [
                finding.code,
                finding.message,
                finding.help,
                finding.severity.value,
                *(id_ for party in finding.parties for id_ in party.groups),
            ]
            for finding in profile.findings
        ),
    }


def facts_sha256(profile: HostProfile) -> str:
    """Return the hash of the facts that bind a plan, hex.

    Drivers and domain types are left out: binding a device to vfio-pci changes both, and no plan.
    """
    facts = facts_json(profile)
    for group in facts["groups"]:
        del group["type"]
        for device in group["devices"]:
            device.pop("driver", None)
    for unbinding in ("noticed", "source", "derived"):
        del facts[unbinding]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _group_json(group: Group) -> dict[str, Any]:
    return {
        "id": group.id,
        "type": group.type,
        "whole": group.whole,
        "address_bits": group.address_bits,
        "devices": [_device_json(device) for device in group.devices],
        "regions": [_region_json(region) for region in group.regions],
    }


def _device_json(device: Device) -> dict[str, str]:
    facts = {
        "name": device.name,
        "vendor": device.vendor,
        "device": device.device,
        "class": device.class_code,
        "driver": device.driver,
    }
    return {key: value for key, value in facts.items() if value}


def _region_json(region: HostRegion) -> dict[str, str]:
    return span_json(region.span) | {"type": region.type}


def _window_json(window: BridgeWindow) -> dict[str, Any]:
    data: dict[str, Any] = {"name": window.name} | span_json(window.span)
    if window.bus:
        data["bus"] = span_json(window.bus)
    return data


def _spans_json(spans: SpanSet) -> list[dict[str, str]]:
    return [span_json(span) for span in spans]
