"""Profile files: a host's facts in YAML, written by ``guestmap host -o`` or by hand.

A profile is read like everything else from outside: mistakes are findings with a place, and a group
about which something is wrong is not whole, so nothing in it reads as usable. Lines pasted from the
kernel or from ``grep -H`` may stand in a ``reserved: |`` block, for a group or for the whole host.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import PurePath

from planner.findings import CODES, Finding, Severity
from planner.host.dump import WHOLE_HOST, DumpLines, sort_ids
from planner.host.profile import BridgeWindow, Device, Group, HostProfile
from planner.host.profile_fields import Fields
from planner.host.reserved import LineReader, Reserved, groups_party, groups_words
from planner.region import Loc, Origin
from planner.span import ADDRESS_LIMIT, Span
from planner.text.collect import Collector
from planner.text.source import Limits, Node, Scalar, read

__all__ = ["IOMMU_KINDS", "SCHEMA", "parse_profile"]

#: The one version of the profile's schema.
SCHEMA = "1"

IOMMU_KINDS = ("intel", "amd", "smmuv3", "smmuv2", "virtio", "none")

#: A written profile of a host with 10 000 groups has 3 MiB and 200 000 values.
_LIMITS = Limits(max_bytes=64 << 20, max_nodes=4_000_000)

#: More groups than any kernel has made: what ``ids`` may expand to.
_MOST_GROUPS = 100_000

_TOP = ("schema", "host", "regions", "reserved", "groups", "bridge-windows", "noticed")
_HOST = (
    "name",
    "kernel",
    "iommu",
    "address-bits",
    "page-size",
    "doorbells",
    "isolated-msi",
    "source",
    "derived",
)
_GROUP = ("id", "ids", "type", "address-bits", "whole", "devices", "regions", "reserved")


def parse_profile(data: bytes, file: str) -> HostProfile:
    """Read the bytes of a profile file; what is wrong in them becomes findings.

    :param file: how findings name the file.
    """
    digest = hashlib.sha256(data).hexdigest()
    root, mistakes = read(data, file, _LIMITS)
    found = Collector(file)
    for finding in mistakes:
        found.add(finding)
    reader = _Reader(file, found)
    profile = reader.profile(root) if root is not None else reader.nothing()
    return replace(profile, sha256=digest)


class _Reader:
    """Reads one profile; findings about the text and findings about groups come together."""

    def __init__(self, file: str, found: Collector) -> None:
        self._file = file
        self._found = found
        self._noticed: list[Finding] = []
        self._pasted = DumpLines()
        self._pasted_ids: frozenset[str] = frozenset()
        #: What was noticed when the facts were first read, as (code, group id).
        self._told: set[tuple[str, str]] = set()

    def nothing(self) -> HostProfile:
        """Return the profile of a file that is none."""
        name = PurePath(self._file).stem
        return HostProfile(name, "", "", None, (), findings=tuple(self._found.findings()))

    def profile(self, root: Node) -> HostProfile:
        """Read the whole document."""
        top = Fields.of(root, "the profile", self._found, _TOP)
        if top is None:
            return self.nothing()
        version = top.required("schema")
        if version is not None and version.text != SCHEMA:
            self._found.report(
                "MM113",
                version.loc,
                f"schema {version.text} of a host profile is not known",
                help=f"this program reads schema: {SCHEMA}",
            )
            return self.nothing()
        self._read_noticed(top)
        host = Fields.of(top.node("host"), "host", self._found, _HOST) or top.empty()
        self._pasted = _pasted(top)
        self._pasted_ids = frozenset(self._pasted.ids())
        groups = self._groups(top)
        iommu = host.choice("iommu", IOMMU_KINDS)
        if not groups:
            self._no_groups(top, iommu)
        windows = [self._window(node) for node in top.list("bridge-windows")]
        profile = HostProfile(
            name=host.text("name") or PurePath(self._file).stem,
            kernel=host.text("kernel"),
            iommu=iommu,
            address_bits=host.number("address-bits", 1, 64),
            groups=groups,
            bridge_windows=tuple(sorted(window for window in windows if window)),
            isolated_msi=host.flag("isolated-msi"),
            page_bytes=host.page_size("page-size"),
            doorbells=host.number("doorbells", 0, 1 << 20),
            findings=(*self._noticed, *self._found.findings()),
            source=host.text("source"),
            derived=bool(host.flag("derived")),
        )
        # A mistake can hide a region (a mistyped key, a second group 3): then nothing is sure.
        mistaken = any(
            finding.code.startswith("MM1") and finding.severity is Severity.ERROR
            for finding in profile.findings
        )
        if mistaken:
            doubtful = tuple(replace(group, whole=False) for group in profile.groups)
            profile = replace(profile, groups=doubtful)
        return profile

    def _no_groups(self, top: Fields, iommu: str) -> None:
        if self._found.failed or any(f.code in ("MM307", "MM308") for f in self._noticed):
            return
        if iommu == "none":
            self._found.report(
                "MM307",
                top.loc,
                "the host has no IOMMU groups: it has no IOMMU, or the IOMMU is off",
                help="without an IOMMU no device can be assigned",
            )
        else:
            self._found.report(
                "MM107",
                top.loc,
                "the profile has neither groups nor reserved regions",
                help="write 'groups:', or paste reserved_regions lines into 'reserved: |'",
            )

    def _read_noticed(self, top: Fields) -> None:
        """Take over what was noticed when the facts were read on the host."""
        for node in top.list("noticed"):
            keys = ("code", "message", "help", "severity", "groups")
            fields = Fields.of(node, "a noticed finding", self._found, keys)
            if fields is None:
                continue
            code = fields.choice("code", [known for known in CODES if known.startswith("MM3")])
            level = fields.choice("severity", [word.value for word in Severity])
            groups = [item.text for item in fields.list("groups") if isinstance(item, Scalar)]
            message = fields.text("message")
            if code:
                severity = Severity(level) if level else None
                party = groups_party(groups)
                finding = Finding(code, message, fields.text("help"), party, level=severity)
                self._noticed.append(finding)
                self._told |= {(code, id_) for id_ in groups}

    def _groups(self, top: Fields) -> tuple[Group, ...]:
        default = top if top.has("regions") else None
        groups: dict[str, Group] = {}
        for node in top.list("groups"):
            fields = Fields.of(node, "a group", self._found, _GROUP)
            if fields is None:
                continue
            for id_ in self._ids(fields):
                if id_ in groups:
                    self._found.report(
                        "MM105",
                        fields.loc,
                        f"group {id_} stands twice",
                        help="keep one of the two",
                    )
                    continue
                groups[id_] = self._group(id_, fields, default)
        for id_ in self._pasted.ids():
            # A paste that names no group speaks for those listed, if any are.
            if id_ not in groups and not (id_ == WHOLE_HOST and groups):
                group, findings = self._pasted.group(id_)
                groups[id_] = group
                self._keep(id_, findings)
        if not groups and default is not None:
            read_ = self._lines(WHOLE_HOST, default)
            groups[WHOLE_HOST] = Group(WHOLE_HOST, "", (), read_.regions, read_.whole)
        return tuple(groups[id_] for id_ in sort_ids(list(groups)))

    def _ids(self, fields: Fields) -> list[str]:
        one, many = fields.scalar("id"), fields.scalar("ids")
        if one is not None and many is None:
            return [one.text]
        if many is None or one is not None:
            self._found.report(
                "MM107" if many is None else "MM106",
                fields.loc,
                "a group has no id" if many is None else "a group has both 'id' and 'ids'",
                help='write id: "28", or ids: "0-23" for groups that are all alike',
            )
            return []
        ids: list[str] = []
        for part in many.text.split(","):
            low, dash, high = (text.strip() for text in part.partition("-"))
            high = high if dash else low
            if not (low.isdecimal() and high.isdecimal() and len(low + high) < 14):
                return self._bad_ids(many)
            if not 0 <= int(high) - int(low) < _MOST_GROUPS - len(ids):
                return self._bad_ids(many)
            ids += map(str, range(int(low), int(high) + 1))
        return ids

    def _bad_ids(self, node: Scalar) -> list[str]:
        self._found.report(
            "MM110",
            node.loc,
            f"'{node.text}' is not a list of group numbers",
            help='write numbers and ranges, such as "0-23, 30"',
        )
        return []

    def _group(self, id_: str, fields: Fields, default: Fields | None) -> Group:
        read_ = self._reserved(id_, fields, default)
        whole = fields.flag("whole") is not False
        known = any(told == id_ for _, told in self._told)
        if not whole and not known and not read_.findings:
            self._keep(id_, (self._unknown(id_, "the profile says so (whole: false)"),))
        elif whole or not known:
            self._keep(id_, read_.findings)
        devices = [self._device(node) for node in fields.list("devices")]
        return Group(
            id_,
            fields.text("type"),
            tuple(sorted(device for device in devices if device)),
            read_.regions,
            whole and read_.whole,
            fields.number("address-bits", 1, 64),
        )

    def _reserved(self, id_: str, fields: Fields, default: Fields | None) -> Reserved:
        if fields.has("regions") or fields.has("reserved"):
            return self._lines(id_, fields)
        for named in (id_, WHOLE_HOST):
            if named in self._pasted_ids:
                group, findings = self._pasted.group(named)
                return Reserved(group.regions, findings, group.whole)
        if default is not None:
            return self._lines(id_, default)
        finding = self._unknown(id_, "the profile gives no regions for it")
        return Reserved((), (finding,), whole=False)

    def _lines(self, id_: str, fields: Fields) -> Reserved:
        """Read the list ``regions`` and the block ``reserved`` of one mapping."""
        reader = LineReader((id_,))
        text = f"reserved regions of group {id_}"
        for node in fields.list("regions"):
            if isinstance(node, Scalar):
                reader.read(node.text, Origin(text, node.loc))
            else:
                reader.read(f"a {type(node).__name__.lower()}", Origin(text, node.loc))
        block = fields.scalar("reserved")
        if block is not None:
            for line, loc in _block_lines(block):
                reader.read(line, Origin(text, loc))
        return reader.result()

    def _keep(self, id_: str, findings: tuple[Finding, ...]) -> None:
        for finding in findings:
            if (finding.code, id_) not in self._told:
                self._found.add(finding)

    def _unknown(self, id_: str, why: str) -> Finding:
        return Finding(
            "MM314",
            f"what {groups_words([id_])} reserves is not known: {why}",
            "read reserved_regions on the host and write its lines here",
            groups_party([id_]),
        )

    def _device(self, node: Node) -> Device | None:
        if isinstance(node, Scalar):
            return Device(node.text)
        keys = ("name", "vendor", "device", "class", "driver")
        fields = Fields.of(node, "a device", self._found, keys)
        if fields is None:
            return None
        name = fields.required("name")
        vendor, device, class_ = (fields.text(key) for key in ("vendor", "device", "class"))
        driver = fields.text("driver")
        return Device(name.text, vendor, device, class_, driver) if name is not None else None

    def _window(self, node: Node) -> BridgeWindow | None:
        fields = Fields.of(node, "a bridge window", self._found, ("name", "base", "last", "bus"))
        if fields is None:
            return None
        fields.required("base")
        fields.required("last")
        first, last = fields.address("base"), fields.address("last")
        bus = fields.address("bus")
        if first is None or last is None:
            return None
        if last < first or (bus is not None and bus + last - first >= ADDRESS_LIMIT):
            self._found.report(
                "MM201",
                fields.loc,
                f"the window [{first:#x}-{last:#x}] ends before it starts or leaves the address"
                " space",
                help="last is the last byte, included",
            )
            return None
        span = Span.inclusive(first, last)
        origin = Origin("bridge window of the profile", fields.loc)
        at_bus = None if bus is None else Span.sized(bus, span.size)
        return BridgeWindow(span, fields.text("name"), origin, at_bus)


def _pasted(top: Fields) -> DumpLines:
    """Return the lines of the host-wide block ``reserved``."""
    lines = DumpLines()
    block = top.scalar("reserved")
    if block is not None:
        for line, loc in _block_lines(block):
            lines.add(line, loc)
    return lines


def _block_lines(block: Scalar) -> list[tuple[str, Loc]]:
    """Return a block's lines with their places; its text starts on the line below the bar."""
    first = block.loc.line + (1 if block.end_loc.line > block.loc.line else 0)
    lines = block.text.split("\n")
    return [(line, Loc(block.loc.file, first + at, 1)) for at, line in enumerate(lines)]
