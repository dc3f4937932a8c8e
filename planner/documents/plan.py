"""The plan as JSON: by ``guestmap plan``, for ``args``, ``apply``, ``verify``, ``show``, ``diff``.

Addresses and sizes are hex strings, ranges carry their last byte included. Version 1 grows only by
new keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from planner.documents.map import DocumentError, reading, region_json
from planner.findings import CODES, Finding, Severity, read_span, span_json
from planner.judge.forbidden import Forbidden
from planner.machine.request import MachineRequest, MemoryDevice, accel_of
from planner.place.doorbell import Realiser
from planner.place.plan import Plan, Source
from planner.region import GuestMap, Kind, Origin, Region, Window, WindowKind
from planner.span import Span, SpanSet

__all__ = ["FORMAT", "VERSION", "DocumentError", "PlanDocument", "plan_json", "read_plan"]

FORMAT = "guestmap/plan"
VERSION = 1


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
        "regions": [
            region_json(region) | {"origin": str(region.origin)}
            for region in (guest.regions if guest else ())
        ],
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
        "guest": _guest_json(plan),
        "findings": [finding.to_json() for finding in plan.findings],
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


def _guest_json(plan: Plan) -> dict[str, Any]:
    kernel = plan.layout.guest
    pieces = plan.placement.request.devices if plan.placement else ()
    return {
        "preset": kernel.preset,
        "acpi_hotplug": kernel.acpi_hotplug,
        "virtio_mem": kernel.virtio_mem,
        "page_size": f"{kernel.page_bytes:#x}" if kernel.page_bytes else None,
        "onlines": kernel.onlines.value if kernel.onlines else None,
        "kernel_parameter": kernel.parameter if pieces else "",
    }


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


@dataclass(frozen=True, slots=True)
class PlanDocument:
    """A plan read back."""

    layout: str
    ok: bool
    scope: str
    #: Type and version of the machine.
    machine: str
    memory_bytes: int
    #: None where the memory could not be placed.
    request: MachineRequest | None
    #: None where the machine could not be built.
    guest: GuestMap | None
    hosts: tuple[str, ...]
    forbidden: tuple[Forbidden, ...]
    usable: SpanSet
    doorbell: Span | None
    choice: str
    realised_by: str
    reason: str
    findings: tuple[Finding, ...]
    #: What the guest's kernel needs on its command line; empty for nothing.
    parameter: str
    #: What it was made from, by name.
    inputs: Mapping[str, Source]

    @property
    def reported_doorbell(self) -> Span | None:
        """The doorbell window that virtio-iommu is to report; None when it is not to."""
        return self.doorbell if self.realised_by == Realiser.VIRTIO_IOMMU else None


def read_plan(document: Mapping[str, Any]) -> PlanDocument:
    """Read a plan back.

    :raise DocumentError: no plan, damaged, or of another version.
    """
    if document.get("format") != FORMAT:
        raise DocumentError(f"this is no {FORMAT} document")
    with reading("plan", document, VERSION):
        machine, doorbell = document["machine"], document["doorbell"]
        sources = document["sources"]
        return PlanDocument(
            layout=str(document["layout"]),
            ok=bool(document["ok"]),
            scope=str(document["scope"]),
            machine=f"{machine['type']} {machine['version']}".strip(),
            memory_bytes=int(document["ram"]["size"], 16),
            request=_read_request(document) if "boot_bytes" in machine else None,
            guest=_read_guest(document) if document["regions"] else None,
            hosts=tuple(map(str, document["hosts"])),
            forbidden=tuple(
                Forbidden(
                    read_span(entry),
                    entry["type"],
                    entry["host"],
                    tuple(entry["groups"]),
                    origin=_PLAN,
                )
                for entry in document["forbidden"]
            ),
            usable=SpanSet(map(read_span, document["usable"])),
            doorbell=read_span(doorbell) if "base" in doorbell else None,
            choice=str(doorbell["choice"]),
            realised_by=str(doorbell["realised_by"]),
            reason=str(doorbell["reason"]),
            findings=tuple(map(_read_finding, document["findings"])),
            parameter=str(document.get("guest", {}).get("kernel_parameter", "")),
            inputs={
                name: Source(str(sources.get(name, "")), str(sha256))
                for name, sha256 in document["inputs"].items()
            },
        )


_PLAN = Origin("the plan")


def _read_request(document: Mapping[str, Any]) -> MachineRequest:
    machine = document["machine"]
    return MachineRequest(
        type=machine["type"],
        version=machine["version"],
        cpu=machine["cpu"],
        accel=accel_of(machine["cpu"]),
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


def _read_guest(document: Mapping[str, Any]) -> GuestMap:
    own = set(map(read_span, document["doorbell"].get("machine_windows", ())))
    regions = []
    for entry in document["regions"]:
        span, origin = read_span(entry), Origin(str(entry.get("origin", _PLAN)))
        kind = Kind(entry["kind"])
        regions.append(Region(span, entry["name"], kind, origin, doorbell=span in own))
    windows = [
        Window(read_span(entry), entry["name"], WindowKind(entry["kind"]), _PLAN)
        for entry in document["windows"]
    ]
    return GuestMap("model", document["machine"]["type"], "", tuple(regions), tuple(windows))


def _read_finding(entry: Mapping[str, Any]) -> Finding:
    code = entry["code"]
    if code not in CODES:
        raise DocumentError(f"the plan has a finding '{code}' that this guestmap does not know")
    return Finding(
        code,
        str(entry["message"]),
        str(entry["help"]),
        notes=tuple(map(str, entry.get("notes", ()))),
        overlap=read_span(entry["overlap"]) if "overlap" in entry else None,
        level=Severity(entry["severity"]),
    )
