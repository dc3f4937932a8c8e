"""Plans on disk: opened, and checked against what they were made from."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from planner.cli.exits import FailedError
from planner.cli.sources import read_bytes, read_document
from planner.documents.host import facts_sha256
from planner.documents.plan import PlanDocument, read_plan
from planner.findings import Finding, Severity
from planner.host.read import read_host
from planner.machine.family import QEMU_FAMILIES, family
from planner.machine.request import MachineRequest
from planner.region import GuestMap

__all__ = ["OpenPlan", "open_plan"]


@dataclass(frozen=True, slots=True)
class OpenPlan:
    """A plan with a placement, and what is to be said about it."""

    document: PlanDocument
    request: MachineRequest
    guest: GuestMap
    findings: tuple[Finding, ...]

    @property
    def wants_firmware(self) -> bool:
        """Whether QEMU takes its pieces with a firmware image only."""
        dimms = any(device.driver == "pc-dimm" for device in self.request.devices)
        return dimms and family(self.request.type).dimms_want_firmware


def open_plan(path: str) -> OpenPlan:
    """Read a plan and compare its inputs with what is there now.

    :raise FailedError: it is not a plan, or a plan of a machine that QEMU cannot be given.
    """
    data, name = read_bytes(path)
    plan = read_document(data, name, read_plan)
    if plan.request is None or plan.guest is None:
        raise FailedError(f"{path}: the plan has no placement: its findings say why")
    if plan.request.type not in QEMU_FAMILIES:
        raise FailedError(f"{path}: a {plan.request.type} board is not QEMU's to build")
    return OpenPlan(plan, plan.request, plan.guest, tuple(_stale(plan, Path(path).parent)))


def _stale(plan: PlanDocument, folder: Path) -> list[Finding]:
    """Compare each input with its file: as named, else beside the plan."""
    found: list[Finding] = []
    for name, made_from in sorted(plan.inputs.items()):
        source, expected = made_from.path, made_from.sha256
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
                    notes=(f"the plan has {expected[:16]}…, it is now {now[:16]}…",),
                    level=Severity.ERROR,
                )
            )
    return found


def _hash(name: str, place: Path) -> str:
    if name.startswith("host:"):
        return facts_sha256(read_host(place))
    return sha256(read_bytes(str(place))[0]).hexdigest()
