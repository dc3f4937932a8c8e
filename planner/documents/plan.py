"""The plan as JSON: written by ``guestmap plan``, read by ``args``, ``apply``, ``verify``.

Addresses and sizes are hex strings, ranges carry their last byte included. Version 1 grows only by
new keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from planner.findings import span_json
from planner.judge.forbidden import Forbidden
from planner.machine.request import MachineRequest, MemoryDevice
from planner.place.plan import Plan
from planner.region import Kind, Origin, Region, Window, WindowKind
from planner.span import Span, SpanSet

__all__ = [
    "FORMAT",
    "VERSION",
    "DocumentError",
    "plan_json",
    "read_doorbell",
    "read_forbidden",
    "read_map",
    "read_request",
]

FORMAT = "guestmap/plan"
VERSION = 1


class DocumentError(ValueError):
    """The JSON is not a plan this version can read."""


def plan_json(plan: Plan) -> dict[str, Any]:
    """Return the plan as JSON data, in a fixed order of keys."""
    guest = plan.guest
    return {
        "format": FORMAT,
        "version": VERSION,
        "layout": plan.layout.name,
        "ok": plan.ok,
        "machine": _machine_json(plan),
        "inputs": {name: source.sha256 for name, source in sorted(plan.inputs.items())},
        "sources": {name: source.path for name, source in sorted(plan.inputs.items())},
        "scope": plan.binding.scope.value,
        "hosts": [host.name for host in plan.binding.hosts],
        "devices": list(plan.layout.devices),
        "hotplug": list(plan.layout.hotplug),
        "regions": [_region_json(region) for region in guest.regions] if guest else [],
        "windows": [
            {"name": window.name, "kind": window.kind.value, **span_json(window.span)}
            for window in (guest.windows if guest else ())
        ],
        "forbidden": [
            {
                **span_json(entry.span),
                "type": entry.type,
                "host": entry.host,
                "groups": list(entry.groups),
            }
            for entry in plan.binding.forbidden
        ],
        "usable": [span_json(span) for span in plan.binding.usable],
        "doorbell": _doorbell_json(plan),
        "ram": _ram_json(plan),
        "findings": [finding.to_json() for finding in plan.findings],
    }


def _region_json(region: Region) -> dict[str, Any]:
    return {
        "name": region.name,
        "kind": region.kind.value,
        **span_json(region.span),
        "dma": region.dma,
        "origin": str(region.origin),
    }


def _machine_json(plan: Plan) -> dict[str, Any]:
    spec = plan.layout.machine
    if plan.placement:
        return _request_json(plan.placement.request)
    return {"type": spec.type, "version": spec.version, "cpu": spec.cpu}


def _doorbell_json(plan: Plan) -> dict[str, Any]:
    if plan.doorbell is None:
        return {"choice": "none", "realised_by": "nothing", "reason": "no map to choose in"}
    doorbell = plan.doorbell
    return {
        **(span_json(doorbell.span) if doorbell.span else {}),
        "choice": doorbell.choice.value,
        "realised_by": doorbell.realised_by.value,
        "reason": doorbell.reason,
        "host_windows": [span_json(span) for span in doorbell.host_windows],
        "machine_windows": [span_json(span) for span in doorbell.machine_windows],
    }


def _ram_json(plan: Plan) -> dict[str, Any]:
    data: dict[str, Any] = {
        "size": f"{plan.layout.memory.size:#x}",
        "boot": None,
        "pieces": [],
        "max_boot_bytes": f"{plan.max_boot_bytes:#x}",
        "block": f"{plan.block_bytes:#x}",
    }
    if plan.placement is None:
        return data
    boot = SpanSet(region.span for region in plan.placement.boot)
    first, last = boot[0].start, boot[len(boot) - 1].last
    data["boot"] = {
        "base": f"{first:#x}",
        "last": f"{last:#x}",
        "size": f"{plan.placement.boot_bytes:#x}",
        "spans": [span_json(span) for span in boot],
    }
    data["pieces"] = [
        {
            "name": device.id,
            "driver": device.driver,
            "memdev": device.memdev,
            **span_json(Span.sized(device.addr or 0, device.size)),
        }
        for device in plan.placement.request.devices
    ]
    return data


def _request_json(request: MachineRequest) -> dict[str, Any]:
    """Return a machine request as JSON data."""
    return {
        "type": request.type,
        "version": request.version,
        "cpu": request.cpu,
        "options": dict(request.options),
        "globals": dict(request.globals),
        "address_bits": request.address_bits,
        "boot_bytes": f"{request.boot_bytes:#x}",
        "max_bytes": f"{request.max_bytes:#x}",
        "slots": request.slots,
    }


def read_request(document: Mapping[str, Any]) -> MachineRequest:
    """Read back the machine request of a plan document, pieces as memory devices.

    :raise DocumentError: not a plan, of another version, or without a placement.
    """
    if document.get("format") != FORMAT:
        raise DocumentError(f"this is no {FORMAT} document")
    if document.get("version") != VERSION:
        raise DocumentError(
            f"the plan has version {document.get('version')}, this guestmap reads {VERSION}"
        )
    machine = document["machine"]
    if "boot_bytes" not in machine:
        raise DocumentError("the plan has no placement: its findings say why")
    try:
        return MachineRequest(
            type=machine["type"],
            version=machine["version"],
            cpu=machine["cpu"],
            options=dict(machine["options"]),
            globals=dict(machine["globals"]),
            address_bits=machine["address_bits"],
            boot_bytes=int(machine["boot_bytes"], 16),
            max_bytes=int(machine["max_bytes"], 16),
            slots=int(machine["slots"]),
            devices=tuple(
                MemoryDevice(
                    piece["name"],
                    int(piece["size"], 16),
                    int(piece["base"], 16),
                    piece["driver"],
                    memdev=piece["memdev"],
                )
                for piece in document["ram"]["pieces"]
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"the plan is damaged: {error!r}") from error


def read_map(document: Mapping[str, Any]) -> tuple[tuple[Region, ...], tuple[Window, ...]]:
    """Read back the planned regions and windows.

    :raise DocumentError: something is damaged.
    """
    origin = Origin("the plan")
    try:
        regions = tuple(
            Region(_span(entry), entry["name"], Kind(entry["kind"]), origin)
            for entry in document["regions"]
        )
        windows = tuple(
            Window(_span(entry), entry["name"], WindowKind(entry["kind"]), origin)
            for entry in document["windows"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"the plan is damaged: {error!r}") from error
    return regions, windows


def read_forbidden(document: Mapping[str, Any]) -> tuple[Forbidden, ...]:
    """Read back what the plan's hosts forbid.

    :raise DocumentError: something is damaged.
    """
    try:
        return tuple(
            Forbidden(
                _span(entry),
                entry["type"],
                entry["host"],
                tuple(entry["groups"]),
                origin=Origin("the plan"),
            )
            for entry in document["forbidden"]
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"the plan is damaged: {error!r}") from error


def read_doorbell(document: Mapping[str, Any]) -> Span | None:
    """Read back the doorbell window that virtio-iommu is to report, None when it is not to.

    :raise DocumentError: something is damaged.
    """
    doorbell = document.get("doorbell", {})
    if doorbell.get("realised_by") != "virtio-iommu":
        return None
    try:
        return _span(doorbell)
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"the plan is damaged: {error!r}") from error


def _span(entry: Mapping[str, str]) -> Span:
    return Span.inclusive(int(entry["base"], 16), int(entry["last"], 16))
