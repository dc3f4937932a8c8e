"""Plans on disk: opened, and checked against what they were made from."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from planner.cli.exits import UnreadableError
from planner.cli.facts import read_facts
from planner.documents.host import facts_sha256
from planner.documents.plan import (
    DocumentError,
    read_doorbell,
    read_forbidden,
    read_map,
    read_request,
)
from planner.findings import Finding, Severity
from planner.judge.forbidden import Forbidden
from planner.machine.request import MachineRequest
from planner.region import Region, Window
from planner.span import Span

__all__ = ["OpenPlan", "open_plan"]


@dataclass(frozen=True, slots=True)
class OpenPlan:
    """A plan read back, with what is to be said about it."""

    request: MachineRequest
    regions: tuple[Region, ...]
    windows: tuple[Window, ...]
    forbidden: tuple[Forbidden, ...]
    #: The window a virtio-iommu is to report, None when it is not to.
    doorbell: Span | None
    findings: tuple[Finding, ...]
    #: Whether the plan was made without errors.
    ok: bool

    def request_with(self, *, firmware: bool) -> MachineRequest:
        """Return the request as it is with or without a firmware image.

        With ACPI, which firmware brings to an Arm guest, pieces are DIMMs; else virtio-mem.
        """
        if self.request.type != "virt" or not firmware:
            return self.request
        devices = tuple(replace(device, driver="pc-dimm") for device in self.request.devices)
        return replace(self.request, devices=devices, firmware=True)


def open_plan(path: str) -> OpenPlan:
    """Read a plan and compare its inputs with what is there now.

    :raise UnreadableError: it is not a plan, or a plan of a machine that QEMU cannot be given.
    """
    document = _document(path)
    try:
        request = read_request(document)
        regions, windows = read_map(document)
        forbidden, doorbell = read_forbidden(document), read_doorbell(document)
    except DocumentError as error:
        raise UnreadableError(f"{path}: {error}") from error
    if request.type == "custom":
        raise UnreadableError(f"{path}: a custom board is not QEMU's to build")
    findings = tuple(_stale(document, Path(path).parent))
    return OpenPlan(
        request, regions, windows, forbidden, doorbell, findings, bool(document.get("ok"))
    )


def _document(path: str) -> Mapping[str, Any]:
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
        document = json.loads(text)
    except OSError as error:
        raise UnreadableError(f"{path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise UnreadableError(f"{path} is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise UnreadableError(f"{path} is not a plan")
    return document


def _stale(document: Mapping[str, Any], folder: Path) -> list[Finding]:
    """Compare each input with its file: as named, else beside the plan."""
    found: list[Finding] = []
    hashes, sources = document.get("inputs", {}), document.get("sources", {})
    for name, expected in sorted(hashes.items()):
        source = str(sources.get(name, ""))
        place = next((p for p in (Path(source), folder / source) if source and p.exists()), None)
        if place is None:
            found.append(
                Finding(
                    "MM609",
                    f"{name} of the plan was read from '{source}', which is not here",
                    help="run this where the plan was made, or make the plan again here",
                )
            )
            continue
        now = _hash(name, place)
        if now != expected:
            found.append(
                Finding(
                    "MM605",
                    f"{name} ({source}) has changed since the plan was made",
                    help="make the plan again with 'guestmap plan'",
                    notes=(f"the plan has {str(expected)[:16]}…, it is now {now[:16]}…",),
                    level=Severity.ERROR,
                )
            )
    return found


def _hash(name: str, place: Path) -> str:
    if name.startswith("host:"):
        return facts_sha256(read_facts(place))
    return sha256(place.read_bytes()).hexdigest()
