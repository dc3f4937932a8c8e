"""Values of machine options and properties as QEMU reads them."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import Enum

from planner.machine.request import MachineRefusedError, NotModelledError
from planner.machine.versions import OLDEST, QemuRelease, show_release
from planner.span import GIB, KIB, MIB

__all__ = [
    "EVERY_MACHINE",
    "Effect",
    "MachineOptions",
    "OptionFact",
    "check_globals",
    "facts",
    "qemu_bool",
    "qemu_size",
    "size_word",
    "split_cpu",
]


class Effect(Enum):
    """What an option of ``-M`` does to the memory map."""

    #: It moves the map, and the tables read it.
    MOVES = "moves"
    NONE = "none"
    #: Not known, or it needs what lies outside the machine.
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class OptionFact:
    """An option that machines of QEMU have."""

    effect: Effect
    #: First QEMU that may have it: those of the tables before it do not.
    since: QemuRelease = OLDEST
    #: What a running machine that says so need not be told with; None for options that are not
    #: asked back, empty text where every value is worth telling.
    default: bool | int | str | None = None


def facts(
    effect: Effect, names: str | Mapping[str, bool | int | str | None], since: QemuRelease = OLDEST
) -> dict[str, OptionFact]:
    """Return a row of options that share effect and version; a mapping gives defaults too."""
    defaults = dict.fromkeys(names.split()) if isinstance(names, str) else names
    return {name: OptionFact(effect, since, default) for name, default in defaults.items()}


#: Options of every machine: hw/core/machine.c ``machine_class_init()``, ``machine_initfn()``, and
#: what system/vl.c takes off before (accel, kernel-irqchip, kvm-shadow-mem). They exist as 7.2.22,
#: 10.0.2 and 11.1.2 say with ``-M TYPE,help`` and ``qom-list /machine``; what is not in 10.0 and is
#: in 11.1 counts from 10.1 on.
EVERY_MACHINE: Mapping[str, OptionFact] = {
    **facts(
        Effect.NONE,
        "accel append boot dump-guest-core firmware graphics hmat initrd kernel kernel-irqchip"
        " mem-merge memory-backend nvdimm-persistence smp suppress-vmdesc usb x-oem-id"
        " x-oem-table-id",
    ),
    **facts(Effect.NONE, "aux-ram-share smp-cache", (10, 0)),
    **facts(Effect.NONE, "spcr", (10, 1)),
    # Proposed in January 2026 only, after 10.2.
    **facts(Effect.NONE, "x-change-vmfd-on-reset", (11, 0)),
    **facts(
        Effect.UNKNOWN,
        "confidential-guest-support dt-compatible dtb dumpdtb kvm-shadow-mem memory"
        " memory-encryption phandle-start",
    ),
    **facts(Effect.UNKNOWN, "shim", (10, 0)),
}


def split_cpu(text: str) -> tuple[str, dict[str, str]]:
    """Split ``-cpu`` text into model and features; ``+x`` and ``-x`` read as ``on`` and ``off``."""
    name, *parts = text.split(",")
    features: dict[str, str] = {}
    for part in parts:
        key, equals, value = part.partition("=")
        if part[:1] in {"+", "-"}:
            features[part[1:]] = "on" if part[0] == "+" else "off"
        else:
            features[key.replace("_", "-")] = value if equals else "on"
    return name, features


_SIZE = re.compile(
    r"(?:0[xX](?P<hex>[0-9a-fA-F]+)|(?P<dec>\d+)(?:\.(?P<frac>\d+))?)(?P<unit>[A-Za-z]?)\Z"
)
_UNITS = {"": 0, "B": 0, "K": 10, "M": 20, "G": 30, "T": 40, "P": 50, "E": 60}
#: util/qapi visitor ``parse_type_bool()`` / util/qemu-option.c ``qapi_bool_parse()``, QEMU 7.2.
_TRUE, _FALSE = {"on", "yes", "true", "y"}, {"off", "no", "false", "n"}


def qemu_size(name: str, text: str, default_unit: str = "B") -> int:
    """Read a size as ``qemu_strtosz()`` of util/cutils.c does (QEMU 7.2): bytes.

    :param default_unit: the unit of a bare decimal number.
    :raise MachineRefusedError: QEMU would refuse the text.
    """
    match = _SIZE.match(text.strip())
    unit = match["unit"].upper() if match else "?"
    if not match or unit not in _UNITS or (match["hex"] and match["frac"]):
        raise MachineRefusedError(
            f"Parameter '{name}' expects a non-negative number below 2^64, got '{text}'",
            "write a number with an optional suffix K, M, G, T, P or E, powers of 1024",
        )
    shift = _UNITS[unit or default_unit]
    if match["hex"]:
        value = int(match["hex"], 16) << shift
    else:
        value = int(match["dec"]) << shift
        if match["frac"]:
            # QEMU rounds a fraction to the nearest byte; it is below one unit.
            digits = match["frac"]
            value += ((int(digits) << shift) * 2 + 10 ** len(digits)) // (2 * 10 ** len(digits))
    if value >= 1 << 64:
        raise MachineRefusedError(
            f"Parameter '{name}' expects a non-negative number below 2^64, got '{text}'"
        )
    return value


def size_word(size_bytes: int) -> str:
    """Return a size as QEMU reads it, exact: ``4G``, ``2944M``, ``2195520K``, bytes otherwise."""
    for unit, letter in ((GIB, "G"), (MIB, "M"), (KIB, "K")):
        if size_bytes % unit == 0:
            return f"{size_bytes // unit}{letter}"
    return f"{size_bytes}B"


def qemu_bool(name: str, text: str) -> bool:
    """Read an on/off value.

    :raise MachineRefusedError: QEMU would refuse the text.
    """
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise MachineRefusedError(f"Parameter '{name}' expects 'on' or 'off'")


#: Drivers whose properties never move the map of a guest that has not started.
_STILL_DRIVERS = (
    "ICH9-LPC",
    "PIIX4_PM",
    "cfi.pflash01",
    "fw_cfg",
    "ide-",
    "ioh3420",
    "isa-",
    "kvm-",
    "mc146818rtc",
    "nec-usb-xhci",
    "pcie-",
    "pvpanic",
    "qemu-xhci",
    "scsi-",
    "usb-",
    "vfio-",
    "vhost-",
    "virtio-",
    "vmgenid",
    "xio3130",
)


def check_globals(given: Mapping[str, str], known: Collection[str]) -> None:
    """Check that every ``-global`` is either in the tables or cannot move the map.

    :param known: ``driver.property`` names the family's tables read.
    :raise NotModelledError: one is neither.
    """
    for name in given:
        still = name.startswith(_STILL_DRIVERS) and not name.startswith("virtio-mem")
        if name not in known and not still:
            raise NotModelledError(f"-global {name} is not in the machine tables")


class MachineOptions:
    """The ``-M`` options of one request, read once each and checked for strangers.

    :param known: the family's options.
    :param qemu: version of the program that is asked.
    :param machine_type: with its version, as QEMU names it in its refusals.
    :raise NotModelledError: an option is not in the tables.
    :raise MachineRefusedError: that QEMU does not have it yet.
    """

    def __init__(
        self,
        given: Mapping[str, str],
        known: Mapping[str, OptionFact],
        qemu: QemuRelease,
        machine_type: str,
    ) -> None:
        for name in given:
            fact = known.get(name.partition(".")[0])
            if fact is None or fact.effect is Effect.UNKNOWN:
                raise NotModelledError(f"machine option '{name}' is not in the machine tables")
            if qemu < fact.since:
                raise MachineRefusedError(
                    f"Property '{machine_type}-machine.{name}' not found",
                    f"QEMU {show_release(qemu)} has no {name}; leave it out or use"
                    f" QEMU {show_release(fact.since)}",
                )
        self._given = given

    def text(self, name: str, default: str = "") -> str:
        """Return an option as it was written."""
        return self._given.get(name, default)

    def flag(self, name: str, *, default: bool) -> bool:
        """Return an on/off option."""
        return qemu_bool(name, self._given[name]) if name in self._given else default

    def auto(self, name: str, *, default: bool) -> bool:
        """Return an on/off/auto option; auto means the default."""
        return default if self._given.get(name) == "auto" else self.flag(name, default=default)

    def size(self, name: str, default: int) -> int:
        """Return a size in bytes."""
        return qemu_size(name, self._given[name]) if name in self._given else default

    def __contains__(self, name: str) -> bool:
        return name in self._given
