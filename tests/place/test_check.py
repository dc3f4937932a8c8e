"""The judgement of check over a source that is no command line at all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import ClassVar

from kit import ROOT

from planner.host.read import read_host
from planner.machine.asked import Asked, HostDevice, MapRead
from planner.machine.change import AddPiece, Change, SetMemory
from planner.machine.request import Backend, MachineRequest, NotModelledError
from planner.place.check import Checked, binding_of, check

GIB = 1 << 30
HOST = read_host(ROOT / "layouts/hosts/amd-desktop.yaml")
NIC = HostDevice("0000:29:00.0")


class BrokenError(Exception):
    """What this source raises when it does not start."""


@dataclass(frozen=True)
class Told:
    """A source that is what it is told to be."""

    asked: Asked
    breaks: bool = False
    #: Backends that a change brings along.
    brings: tuple[Backend, ...] = ()
    changes: ClassVar[list[Change]] = []

    def read_map(self) -> MapRead:
        return MapRead(self.asked.build())

    def changed(self, changes: Iterable[Change]) -> Told:
        if self.breaks:
            raise BrokenError("no such thing")
        self.changes[:] = changes
        request = self.asked.request
        for change in self.changes:
            if isinstance(change, SetMemory):
                request = replace(
                    request,
                    boot_bytes=change.boot_bytes,
                    max_bytes=change.max_bytes,
                    slots=change.slots,
                )
            elif isinstance(change, AddPiece):
                request = replace(request, devices=(*request.devices, change.device))
        return replace(self, asked=replace(self.asked, wanted=request, backends=self.brings))


def arm(size: int, *devices: HostDevice) -> Asked:
    return Asked(MachineRequest("virt", "7.2", "cortex-a57", size, firmware=True), devices)


def checked(source: Told) -> Checked[Told]:
    return check(source, binding_of(source.asked, [HOST]), (BrokenError,))


def codes(found: Checked[Told]) -> list[str]:
    return [finding.code for finding in found.findings if finding.severity == "error"]


def test_a_guest_that_fits_needs_nothing() -> None:
    found = checked(Told(arm(GIB, NIC)))
    assert (found.ok, found.lost, found.repair, found.mended, found.no_fix) == (
        (True, (), None, None, "")
    )


def test_changes_are_written_by_the_source_and_proved_by_its_map() -> None:
    found = checked(Told(arm(4 * GIB, NIC)))
    assert codes(found) == ["MM401"]
    assert found.repair is not None
    assert [type(change) for change in found.repair.changes] == [SetMemory, AddPiece]
    assert found.repair.words == (
        "boot memory 2944 MiB",
        "virtio-mem-pci of 1152 MiB at 0x100000000",
    )
    assert found.mended is not None
    assert checked(found.mended).ok
    assert found.lost == ()


def test_a_change_that_does_not_start_is_no_proposal() -> None:
    found = checked(Told(arm(4 * GIB, NIC), breaks=True))
    assert (found.repair, found.no_fix) == (
        None,
        "the changed line does not start: no such thing",
    )
    assert [finding.code for finding in found.lost] == ["MM401"]


def test_a_change_that_aliases_memory_is_no_proposal() -> None:
    twins = tuple(Backend(name, GIB, shared_file="/shm/f") for name in ("m", "mem0"))
    found = checked(Told(arm(4 * GIB, NIC), brings=twins))
    assert found.repair is None
    assert "'m' and 'mem0' share 1 GiB of /shm/f" in found.no_fix


def test_memory_that_is_there_twice_is_an_error() -> None:
    twins = tuple(Backend(name, GIB, shared_file="/shm/f") for name in ("m", "n"))
    found = checked(Told(replace(arm(GIB, NIC), backends=twins)))
    assert codes(found) == ["MM208"]
    assert [finding.code for finding in found.lost] == ["MM208"]
    apart = (twins[0], replace(twins[1], offset=GIB))
    assert checked(Told(replace(arm(GIB, NIC), backends=apart))).ok
    other = (twins[0], replace(twins[1], shared_file="/shm/g"))
    assert checked(Told(replace(arm(GIB, NIC), backends=other))).ok


def test_without_a_device_a_collision_is_a_warning() -> None:
    found = checked(Told(arm(4 * GIB)))
    assert found.ok
    assert "MM401" in {f.code for f in found.findings if f.severity == "warning"}
    assert found.mended is not None


def test_a_device_without_a_name() -> None:
    found = checked(Told(arm(GIB, HostDevice("", "-device vfio-pci,fd=9"))))
    assert codes(found) == ["MM413"]
    assert "'-device vfio-pci,fd=9' does not say" in found.lost[0].message


def test_a_machine_without_tables_gets_no_proposal() -> None:
    class Unknown(Told):
        def read_map(self) -> MapRead:
            return MapRead(arm(4 * GIB).build())

    found = checked(Unknown(Asked(NotModelledError("no tables"), (NIC,))))
    assert codes(found) == ["MM401"]
    assert found.no_fix == "the tables do not model this machine: no tables"
