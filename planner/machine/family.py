"""Machine families: one record each of what sets it apart, and how to know one by its name.

A family is a folder here: its package holds the records (``FAMILIES``), its module ``board`` the
model that builds maps (``machine(family)``). :data:`_FOLDERS` lists them, and is the one line that
a new family adds. A record is imported when somebody asks for it, a model when it has to build.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Protocol

from planner.machine.options import OptionFact
from planner.machine.request import MachineRequest, NotModelledError
from planner.machine.versions import QemuRelease
from planner.region import GuestMap
from planner.span import GIB, SpanSet

__all__ = [
    "LAYOUT_MACHINES",
    "QEMU_FAMILIES",
    "Family",
    "Machine",
    "default_family",
    "family",
    "find_family",
    "for_type",
    "native_family",
    "recognise",
    "target_of",
    "virtio_mem_extent",
]

#: Family → its folder: those that have tables, in the order in which they are offered.
_FOLDERS = {"virt": "virt", "q35": "pc", "pc": "pc"}
#: The board that a layout draws itself, and machines of QEMU that only a probe can map.
_OTHERS = {
    "custom": "custom",
    "microvm": "probed",
    "sbsa-ref": "probed",
    "riscv-virt": "probed",
    "loongarch-virt": "probed",
}
#: Families that QEMU builds and the tables model.
QEMU_FAMILIES = tuple(_FOLDERS)
#: What a layout may name.
LAYOUT_MACHINES = (*QEMU_FAMILIES, "custom")
#: What a layout is drafted for on a host whose own machine has no tables.
_FALLBACK = "q35"

#: Last words of names of QEMU programs that are not the target's own.
_PROGRAM_WORDS = {"kvm": "x86_64", "amd64": "x86_64", "arm64": "aarch64"}


class Machine(Protocol):
    """A model: what QEMU makes of a request, and which levers it has."""

    def build(self, request: MachineRequest) -> GuestMap:
        """Return the map QEMU would make, every region of its flat view and the windows.

        Plugged memory devices are regions named by their id; boot memory is marked as such.

        :raise MachineRefusedError: QEMU would not start it.
        :raise NotModelledError: the tables do not know what QEMU would do.
        """
        ...

    def variants(self, request: MachineRequest, forbidden: SpanSet) -> Iterable[MachineRequest]:
        """Yield the request as asked, then with each lever that could move RAM off *forbidden*.

        The order is the order of preference: what changes the machine least comes first. Sizes are
        not varied here; placement does that.
        """
        ...


@dataclass(frozen=True, slots=True)
class Family:
    """What is to be known of a machine family, whoever asks."""

    #: In layouts, plans and maps.
    name: str
    #: Machine type without a version: ``q35``.
    alias: str = ""
    #: What a version or a vendor's suffix is added to: ``pc-q35`` for ``pc-q35-7.2``.
    stem: str = ""
    #: QEMU's targets that have it; the tables are of the first. None: not a machine of QEMU's.
    targets: tuple[str, ...] = ()
    #: Whether QEMU takes it where a command line names no machine.
    default: bool = False
    #: Name of its boot RAM, ``MachineClass.default_ram_id``.
    ram: str = ""
    #: First version of the machine type that the tables know.
    oldest: QemuRelease = (0, 0)
    #: CPU model where ``-cpu`` is not given.
    cpu: str = ""
    #: ``-M`` options by name; sub-options (``smp.cpus``) go by what is before the dot.
    options: Mapping[str, OptionFact] = field(default_factory=dict)
    #: Driver of the PCI host bridge whose ``pci-hole64-size`` moves the window for BARs, where it
    #: is in the object tree, and the size without the property. Such a board's firmware places
    #: BARs by the CPU's address bits, so that both narrow the map.
    bridge: str = ""
    bridge_path: str = ""
    hole64_bytes: int = 0
    #: Region of the device through which ACPI tells the guest of DIMMs, on boards that have it
    #: with a firmware image only; empty where DIMMs always can be plugged.
    dimm_region: str = ""
    #: How far beyond what is requested a virtio-mem device may be used, in bytes:
    #: ``VIRTIO_MEM_USABLE_EXTENT`` in hw/virtio/virtio-mem.c, QEMU 7.2 and 10.0: two of the
    #: target's largest memory blocks (512 MiB on Arm). Where QEMU's own is not known the larger
    #: one: nothing is lost by it.
    virtio_mem_extent: int = 1 * GIB

    @property
    def drawn(self) -> bool:
        """Whether a layout draws the board itself, region by region; QEMU has no such machine."""
        return not self.targets

    @property
    def dimms_want_firmware(self) -> bool:
        """Whether DIMMs can be plugged with a firmware image only."""
        return bool(self.dimm_region)

    @property
    def piece_drivers(self) -> tuple[str, ...]:
        """The drivers that pieces of memory can have, the better one first.

        Where ACPI comes with firmware only, many guests have no driver for DIMMs even then.
        """
        drivers = ("pc-dimm", "virtio-mem-pci")
        return drivers[::-1] if self.dimms_want_firmware else drivers

    @property
    def hole64(self) -> str:
        """The property that sizes the 64-bit PCI window, as ``-global`` names it; or empty."""
        return f"{self.bridge}.pci-hole64-size" if self.bridge else ""

    @property
    def globals(self) -> tuple[str, ...]:
        """Properties of devices that move the map, as ``-global`` names them."""
        return (self.hole64,) if self.hole64 else ()

    def machine_type(self, version: str) -> str:
        """Return the machine type of a version, ``pc-q35-7.2``; without one the alias."""
        return f"{self.stem}-{version}" if version else self.alias

    def version_in(self, machine_type: str) -> str | None:
        """Return the version in a machine type of this family, empty in the alias.

        None when a vendor's suffix stands there (``rhel9.4.0``, ``jammy``, ``9.2+pve1``) or when
        it is another family's type; :meth:`matches` tells these apart.
        """
        if machine_type == self.alias:
            return ""
        stem, _, version = machine_type.rpartition("-")
        plain = stem == self.stem and version and not version.strip("0123456789.")
        return version if plain else None

    def matches(self, machine_type: str) -> bool:
        """Say whether a machine type is of this family, whoever gave it its suffix."""
        if self.drawn:
            return False
        return machine_type == self.alias or machine_type.startswith(f"{self.stem}-")


def find_family(name: str) -> Family | None:
    """Return a family by its name; None when there is none."""
    folder = _FOLDERS.get(name) or _OTHERS.get(name)
    if folder is None:
        return None
    records: Mapping[str, Family] = import_module(f"planner.machine.{folder}").FAMILIES
    return records[name]


def family(name: str) -> Family:
    """Return a family by its name.

    :raise NotModelledError: there is none.
    """
    found = find_family(name)
    if found is None:
        raise _no_tables(name)
    return found


def for_type(name: str) -> Machine:
    """Return the model of a family.

    :raise NotModelledError: there are no tables for it.
    """
    if name not in _FOLDERS:
        raise _no_tables(name)
    record = family(name)
    model: Machine = import_module(f"planner.machine.{_FOLDERS[name]}.board").machine(record)
    return model


def _no_tables(name: str) -> NotModelledError:
    return NotModelledError(
        f"machine '{name}' is not in the machine tables, which know"
        f" {', '.join(sorted(QEMU_FAMILIES))}; the map of any other board comes from a probe"
    )


def _candidates(hint: str = "") -> Iterator[Family]:
    """Yield every family; those whose name is part of *hint* first, so that few are imported."""
    for name in sorted((*_FOLDERS, *_OTHERS), key=lambda name: name not in hint):
        found = find_family(name)
        if found:
            yield found


def recognise(machine_type: str, target: str | None = None) -> Family | None:
    """Return the family a machine type of QEMU's belongs to.

    :param target: QEMU's target, ``aarch64``: several have a ``virt`` of their own. None takes any
        target's, the tables' first.
    """
    for found in _candidates(machine_type):
        if found.matches(machine_type) and (target is None or target in found.targets):
            return found
    return None


def default_family(target: str) -> Family | None:
    """Return the family of the machine QEMU takes where none is named."""
    return next((each for each in _candidates() if each.default and target in each.targets), None)


def native_family(target: str) -> str:
    """Return the name of the family to propose on a host of an architecture (``uname -m``)."""
    return next((name for name in QEMU_FAMILIES if target in family(name).targets[:1]), _FALLBACK)


def virtio_mem_extent(target: str) -> int:
    """Return :attr:`Family.virtio_mem_extent` of a target, in bytes."""
    found = next((each for each in _candidates() if target in each.targets), Family(""))
    return found.virtio_mem_extent


def target_of(program: str) -> str:
    """Return the target that a QEMU program is for, by the last word of its name."""
    word = posixpath.basename(program).rpartition("-")[2]
    return _PROGRAM_WORDS.get(word, word)
