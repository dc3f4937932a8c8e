"""Layout and hosts → plan: the one place where the parts meet. Pure.

What goes wrong is a finding in the plan; nothing here raises on bad input.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from planner.findings import Finding, Mend, Severity, worst
from planner.guest.kernel import boot_min, memory_block
from planner.host.doorbells import window_size
from planner.host.profile import HostProfile
from planner.judge.collision import collisions
from planner.judge.forbidden import PINNED_DOORBELL, Binding, Forbidden, bind
from planner.judge.kernel import judge_pieces
from planner.judge.verdict import judge_hosts, judge_map
from planner.layout.asked import asked_of
from planner.layout.model import Layout
from planner.layout.silence import apply_silence
from planner.machine.custom import BOOT_BASE
from planner.machine.family import Machine, family
from planner.machine.request import MachineRefusedError, MachineRequest, NotModelledError
from planner.place.doorbell import Doorbell, choose, pin_conflicts, pinned_span
from planner.place.placement import Demand, Placement, Refusal, max_boot, place
from planner.place.refusal import Case, explain_refusal
from planner.region import GuestMap, Loc, Origin
from planner.span import GIB, MIB, Span, SpanSet
from planner.units import show_size

__all__ = ["Plan", "Source", "make_plan"]


@dataclass(frozen=True, slots=True)
class Source:
    """One input of a plan, so that a plan whose inputs have changed is noticed."""

    #: As the user gave it.
    path: str
    #: Of the file's bytes, or of a host's normalised facts.
    sha256: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A judged plan: complete when no finding is an error."""

    layout: Layout
    binding: Binding
    #: What the plan was made from, by name: ``layout:NAME``, ``host:NAME``.
    inputs: Mapping[str, Source]
    #: The map as asked, before anything moved; None when the machine refused it.
    asked: GuestMap | None = None
    #: None when the memory could not be placed.
    placement: Placement | None = None
    doorbell: Doorbell | None = None
    #: Most boot memory that fits in one go, in bytes.
    max_boot_bytes: int = 0
    block_bytes: int = 0
    findings: tuple[Finding, ...] = ()

    def found(self, findings: Iterable[Finding]) -> Plan:
        """Return the plan with its findings: silenced ones left out, the worst first."""
        # The same fact can reach us through several groups or hosts; it is said once.
        kept = apply_silence(set(findings), self.layout.silence)
        return replace(self, findings=tuple(sorted(kept, key=Finding.urgency)))

    @property
    def ok(self) -> bool:
        """Whether no finding is an error."""
        return worst(self.findings) is not Severity.ERROR

    @property
    def guest(self) -> GuestMap | None:
        """The planned map, or the one as asked where planning failed."""
        return self.placement.guest if self.placement else self.asked


def make_plan(
    layout: Layout,
    hosts: Iterable[HostProfile],
    inputs: Mapping[str, Source],
    noticed: Iterable[Finding] = (),
) -> Plan:
    """Plan a layout against hosts.

    :param inputs: what the layout and the hosts were read from, by name.
    :param noticed: what reading the layout found.
    """
    binding = bind(hosts, layout.reserve, layout.wanted)
    plan = Plan(layout, binding, inputs)
    wanted = asked_of(layout)
    findings = [*noticed, *judge_hosts(binding, wanted.places)]
    try:
        machine, request = wanted.machine, wanted.request
        tried = _as_asked(machine, request)
        # With less memory it may be built; a machine that QEMU never builds ends here.
        less = replace(request, boot_bytes=GIB, max_bytes=0, slots=0)
        some = machine.build(less) if isinstance(tried, MachineRefusedError) else tried
    except (NotModelledError, MachineRefusedError) as error:
        return plan.found([*findings, _no_machine(error, layout.where("machine"))])
    asked = tried if isinstance(tried, GuestMap) else None
    refused_as_asked = None if isinstance(tried, GuestMap) else tried
    pinned, conflicts = _pinned(layout, asked, binding)
    findings += conflicts
    holes = binding.holes | SpanSet([pinned] if pinned else [])
    page = layout.guest.page_bytes
    demand = Demand(
        total=layout.memory.size,
        block=layout.memory.block or memory_block(some, page),
        boot_min=layout.memory.boot_min or boot_min(layout.memory.size),
        slots=layout.memory.slots,
        max_total=max(layout.memory.max or 0, layout.memory.size),
        driver=layout.guest.piece_driver(layout.memory.pieces, family(request.type).piece_drivers),
    )
    request = _with_firmware(request, demand.driver)
    outcome = place(machine, request, demand, holes)
    while isinstance(outcome, Placement) and not layout.memory.block:
        # Where boot memory ends decides how large the guest's blocks are.
        block = memory_block(outcome.guest, page)
        if block <= demand.block or not outcome.pieces:
            break
        demand = replace(demand, block=block)
        outcome = place(machine, request, demand, holes)
    boot_limit = max_boot(machine, request, holes)
    placement = outcome if isinstance(outcome, Placement) else None
    guest = placement.guest if placement else asked
    all_bound = _with_pin(binding, pinned, layout)
    if isinstance(outcome, Refusal):
        case = Case(layout, machine, request, demand, all_bound, asked)
        findings.append(explain_refusal(case, outcome))
    else:
        findings += _changed(request, outcome.request, refused_as_asked, layout.where("machine"))
        if asked:
            findings += _moved(outcome, asked, all_bound, boot_limit, layout)
        where = layout.where("guest") if "guest" in layout.locs else layout.where("memory")
        findings += judge_pieces(outcome.request.devices, layout.guest, where)
    doorbell = None
    if guest:
        doorbell, said = _doorbell(layout, guest, binding)
        judged = judge_map(guest, binding, layout.guest)
        if placement is None:
            # The refusal has said what memory meets. The map shown is the one as asked: its RAM may
            # cover every window, which would be blamed on the doorbell wrongly.
            judged, said = [f for f in judged if f.mended_by is not Mend.PLACE], []
        findings += judged if conflicts else [*judged, *said]
    plan = replace(plan, asked=asked, placement=placement, doorbell=doorbell)
    return replace(plan, max_boot_bytes=boot_limit, block_bytes=demand.block).found(findings)


def _no_machine(error: NotModelledError | MachineRefusedError, loc: Loc | None) -> Finding:
    """Say that nothing can be built, whatever the memory."""
    if isinstance(error, MachineRefusedError):
        message = f"QEMU would refuse this machine: {error.message}"
        return Finding("MM204", message, help=error.help, loc=loc)
    return Finding(
        "MM204",
        f"the tables do not model this machine: {error}",
        help="use 'guestmap check' or 'guestmap map --probe', which ask the real QEMU",
        loc=loc,
    )


def _with_firmware(request: MachineRequest, driver: str) -> MachineRequest:
    """Return the request with the firmware that its pieces want."""
    wanted = driver == "pc-dimm" and family(request.type).dimms_want_firmware
    return replace(request, firmware=request.firmware or wanted)


def _as_asked(machine: Machine, request: MachineRequest) -> GuestMap | MachineRefusedError:
    """Return the map before anything moves, or why QEMU would refuse it."""
    first = next(iter(machine.variants(request, SpanSet())), request)
    try:
        return machine.build(first)
    except MachineRefusedError as refused:
        return refused


def _changed(
    request: MachineRequest,
    final: MachineRequest,
    refusal: MachineRefusedError | None,
    loc: Loc | None,
) -> list[Finding]:
    """Say which options of the machine the plan had to change, and why."""
    changes = [
        f"{key}={value}"
        for key, value in {**final.options, **final.globals}.items()
        if {**request.options, **request.globals}.get(key) != value and key != BOOT_BASE
    ]
    if final.cpu != request.cpu:
        changes.append(f"-cpu {final.cpu}")
    if not changes:
        return []
    why = (
        f"as asked QEMU says '{refusal.message}'" if refusal else "as asked memory cannot be placed"
    )
    return [
        Finding(
            "MM509",
            f"{why}; the plan changes the machine: {', '.join(changes)}",
            help="launch with the plan's own arguments, 'guestmap args'",
            loc=loc,
        )
    ]


def _pinned(
    layout: Layout, asked: GuestMap | None, binding: Binding
) -> tuple[Span | None, list[Finding]]:
    """Return the pinned window when RAM can be asked to go around it, and why it cannot."""
    if layout.doorbell.pin is None:
        return None, []
    span = pinned_span(layout.doorbell.pin, layout.doorbell.size)
    conflicts = pin_conflicts(span, asked, binding, layout.where("doorbell.pin")) if asked else []
    return None if conflicts else span, conflicts


def _with_pin(binding: Binding, pinned: Span | None, layout: Layout) -> Binding:
    if pinned is None:
        return binding
    origin = Origin("layout", layout.where("doorbell.pin"))
    entry = Forbidden(pinned, PINNED_DOORBELL, "", origin=origin)
    return replace(binding, forbidden=tuple(sorted((*binding.forbidden, entry))))


def _doorbell(layout: Layout, guest: GuestMap, binding: Binding) -> tuple[Doorbell, list[Finding]]:
    need = max(
        (window_size(h.doorbells or 0, h.page_bytes or 0) for h in binding.hosts), default=MIB
    )
    return choose(
        guest,
        binding,
        prefer=layout.doorbell.prefer,
        pin=layout.doorbell.pin,
        size=layout.doorbell.size,
        need_bytes=max(need, MIB),
        loc=layout.locs.get("doorbell"),
    )


def _moved(
    placement: Placement, asked: GuestMap, binding: Binding, boot_limit: int, layout: Layout
) -> list[Finding]:
    """Say what stood in the way of the map as asked, and where memory went instead."""
    found: list[Finding] = []
    ram = {region.name for region in placement.boot}
    regions = [region for region in asked.regions if region.name in ram]
    where = f"boot memory {show_size(placement.boot_bytes)}"
    where += "".join(f", {show_size(p.span.size)} at {p.span.start:#x}" for p in placement.pieces)
    seen: set[tuple[Span, str]] = set()
    for met in collisions(regions, binding.forbidden):
        if (met.entry.span, met.entry.type) in seen:
            continue
        seen.add((met.entry.span, met.entry.type))
        found.append(
            met.finding(
                "MM504",
                f"as asked, {met.words(would=True)}: {met.sized}; planned instead: {where}",
                f"{show_size(boot_limit)} is the most that fits in one piece",
                loc=layout.where("memory.size"),
            )
        )
    return found
