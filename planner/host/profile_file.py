"""Profile files: a host's facts in YAML, written by ``guestmap host -o`` or by hand.

A profile is read like everything else from outside: mistakes are findings with a place, and a group
about which something is wrong is not whole, so nothing in it reads as usable. Lines pasted from the
kernel or from ``grep -H`` may stand in a ``reserved: |`` block, for a group or for the whole host.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import PurePath
from typing import Any

from planner.findings import Finding, Severity
from planner.host.dump import WHOLE_HOST, DumpLines, sort_ids
from planner.host.profile import BridgeWindow, Device, Group, HostProfile
from planner.host.profile_schema import MOST_GROUPS, PROFILE
from planner.host.reserved import LineReader, Reserved, groups_party, groups_words
from planner.region import Loc, Origin
from planner.span import ADDRESS_LIMIT, Span
from planner.text.collect import Collector
from planner.text.fields import Loaded, open_file
from planner.text.pci import parse_pci
from planner.text.source import Limits

__all__ = ["LIMITS", "parse_profile"]

#: A written profile of a host with 10 000 groups has 3 MiB and 200 000 values.
LIMITS = Limits(max_bytes=64 << 20, max_nodes=4_000_000)

_Values = dict[str, Any]


def parse_profile(data: bytes, file: str) -> HostProfile:
    """Read the bytes of a profile file; what is wrong in them becomes findings.

    :param file: how findings name the file.
    """
    loaded, found = open_file(PROFILE, data, file, LIMITS)
    name = PurePath(file).stem
    if loaded is None:
        profile = HostProfile(name, "", "", None, (), findings=tuple(found.findings()))
    else:
        profile = _Meaning(loaded, found).profile(name)
    return replace(profile, sha256=hashlib.sha256(data).hexdigest())


class _Meaning:
    """What one profile says; findings about the text and about groups come together."""

    def __init__(self, loaded: Loaded, found: Collector) -> None:
        self._top = loaded.values
        self._locs = loaded.locs
        self._found = found
        noticed = loaded.values.get("noticed", ())
        self._noticed = [_noticed(values) for values in noticed if "code" in values]
        #: What was noticed when the facts were first read, as (code, group id).
        self._told = {
            (finding.code, id_)
            for finding in self._noticed
            for party in finding.parties
            for id_ in party.groups
        }
        #: What is pasted for the whole host comes before it, and is read by itself.
        self._default = {"regions": self._top.get("regions", [])}
        self._pasted = DumpLines()
        for line, loc in self._top.get("reserved", ()):
            self._pasted.add(line, loc)
        self._pasted_ids = frozenset(self._pasted.ids())

    def profile(self, name: str) -> HostProfile:
        """Read the whole document.

        :param name: the host's where the profile does not tell.
        """
        host: _Values = self._top.get("host", {})
        groups = self._groups()
        if not groups:
            self._no_groups(host.get("iommu", ""))
        windows = [
            self._window(window, self._locs[f"bridge-windows.{index}"])
            for index, window in enumerate(self._top.get("bridge-windows", ()))
        ]
        profile = HostProfile(
            name=host.get("name") or name,
            kernel=host.get("kernel", ""),
            iommu=host.get("iommu", ""),
            address_bits=host.get("address-bits"),
            groups=groups,
            bridge_windows=tuple(sorted(window for window in windows if window)),
            isolated_msi=host.get("isolated-msi"),
            page_bytes=host.get("page-size"),
            doorbells=host.get("doorbells"),
            findings=(*self._noticed, *self._found.findings()),
            source=host.get("source", ""),
            derived=host.get("derived", False),
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

    def _no_groups(self, iommu: str) -> None:
        if self._found.failed or any(f.code in ("MM307", "MM308") for f in self._noticed):
            return
        if iommu == "none":
            self._found.report(
                "MM307",
                self._locs[""],
                "the host has no IOMMU groups: it has no IOMMU, or the IOMMU is off",
                help="without an IOMMU no device can be assigned",
            )
        else:
            self._found.report(
                "MM107",
                self._locs[""],
                "the profile has neither groups nor reserved regions",
                help="write 'groups:', or paste reserved_regions lines into 'reserved: |'",
            )

    def _groups(self) -> tuple[Group, ...]:
        groups: dict[str, Group] = {}
        for index, values in enumerate(self._top.get("groups", ())):
            at = f"groups.{index}"
            for id_ in self._ids(values, self._locs[at]):
                if id_ in groups:
                    self._found.report(
                        "MM105",
                        self._locs[at],
                        f"group {id_} stands twice",
                        help="keep one of the two",
                    )
                    break
                if len(groups) == MOST_GROUPS:
                    self._found.report(
                        "MM104",
                        self._locs[at],
                        f"the profile has more than {MOST_GROUPS} groups",
                        help="list the groups that devices are assigned from",
                    )
                    return ()
                groups[id_] = self._group(id_, values, at)
        for id_ in self._pasted.ids():
            # A paste that names no group speaks for those listed, if any are.
            if id_ not in groups and not (id_ == WHOLE_HOST and groups):
                group, findings = self._pasted.group(id_)
                groups[id_] = group
                self._keep(id_, findings)
        if not groups and "regions" in self._top:
            read_ = self._lines(WHOLE_HOST, self._default, "")
            groups[WHOLE_HOST] = Group(WHOLE_HOST, "", (), read_.regions, read_.whole)
        return tuple(groups[id_] for id_ in sort_ids(list(groups)))

    def _ids(self, values: _Values, loc: Loc) -> Iterable[str]:
        one, many = "id" in values, "ids" in values
        if one is not many:
            ranges = values.get("ids", ())
            numbers = chain.from_iterable(range(low, high + 1) for low, high in ranges)
            return map(str, numbers) if many else [values["id"]]
        if values or not self._found.failed:
            self._found.report(
                "MM106" if one else "MM107",
                loc,
                "a group has both 'id' and 'ids'" if one else "a group has no id",
                help='write id: "28", or ids: "0-23" for groups that are all alike',
            )
        return []

    def _group(self, id_: str, values: _Values, at: str) -> Group:
        read_ = self._reserved(id_, values, at)
        whole = values.get("whole", True)
        known = any(told == id_ for _, told in self._told)
        if not whole and not known and not read_.findings:
            self._keep(id_, (_unknown(id_, "the profile says so (whole: false)"),))
        elif whole or not known:
            self._keep(id_, read_.findings)
        return Group(
            id_,
            values.get("type", ""),
            tuple(sorted(_device(device) for device in values.get("devices", ()) if device)),
            read_.regions,
            whole and read_.whole,
            values.get("address-bits"),
        )

    def _reserved(self, id_: str, values: _Values, at: str) -> Reserved:
        if "regions" in values or "reserved" in values:
            return self._lines(id_, values, f"{at}.")
        for named in (id_, WHOLE_HOST):
            if named in self._pasted_ids:
                group, findings = self._pasted.group(named)
                return Reserved(group.regions, findings, group.whole)
        if "regions" in self._top:
            return self._lines(id_, self._default, "")
        finding = _unknown(id_, "the profile gives no regions for it")
        return Reserved((), (finding,), whole=False)

    def _lines(self, id_: str, values: _Values, at: str) -> Reserved:
        """Read the list ``regions`` and the block ``reserved`` of one mapping."""
        reader = LineReader((id_,))
        text = f"reserved regions of group {id_}"
        for index, line in enumerate(values.get("regions", ())):
            reader.read(line, Origin(text, self._locs[f"{at}regions.{index}"]))
        for line, loc in values.get("reserved", ()):
            reader.read(line, Origin(text, loc))
        return reader.result()

    def _keep(self, id_: str, findings: tuple[Finding, ...]) -> None:
        for finding in findings:
            if (finding.code, id_) not in self._told:
                self._found.add(finding)

    def _window(self, values: _Values, loc: Loc) -> BridgeWindow | None:
        first, last, bus = (values.get(key) for key in ("base", "last", "bus"))
        if first is None or last is None:
            return None
        if last < first or (bus is not None and bus + last - first >= ADDRESS_LIMIT):
            self._found.report(
                "MM201",
                loc,
                f"the window [{first:#x}-{last:#x}] ends before it starts or leaves the address"
                " space",
                help="last is the last byte, included",
            )
            return None
        span = Span.inclusive(first, last)
        origin = Origin("bridge window of the profile", loc)
        at_bus = None if bus is None else Span.sized(bus, span.size)
        return BridgeWindow(span, values.get("name", ""), origin, at_bus)


def _noticed(values: _Values) -> Finding:
    level = Severity(values["severity"]) if "severity" in values else None
    party = groups_party(values.get("groups", ()))
    message, help_text = values.get("message", ""), values.get("help", "")
    return Finding(values["code"], message, help_text, party, level=level)


def _unknown(id_: str, why: str) -> Finding:
    return Finding(
        "MM314",
        f"what {groups_words([id_])} reserves is not known: {why}",
        "read reserved_regions on the host and write its lines here",
        groups_party([id_]),
    )


def _device(values: _Values) -> Device:
    name, *facts = (values.get(key, "") for key in ("name", "vendor", "device", "class", "driver"))
    return Device(parse_pci(name) or name, *facts)
