"""A user's command line turned into one that only builds the machine and waits.

An allow list: what moves the memory map stays, everything else goes and is named. Pure; the
program is started by :mod:`qmp_glue.probe`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from planner.argv.backends import read_backends
from planner.argv.keyval import emit_keyval
from planner.argv.line import IOMMUS, MEMORY_DEVICES, CommandLine
from planner.argv.split import ArgvError, Option
from planner.machine.family import default_family, recognise, target_of
from planner.machine.ram import RAM_ROUNDING
from planner.machine.request import MachineRefusedError
from planner.span import MIB, align_up

__all__ = ["FileBackend", "Paused", "paused"]

#: Options whose words stay as they are.
_KEPT = frozenset({"L", "accel", "bios", "cpu", "enable-kvm", "m", "numa", "smp", "global"})
#: Options that are written anew, or that the probe sets itself: nothing is lost with them.
#: ``no-acpi`` and ``no-hpet`` are old spellings of -M keys.
_SILENT = frozenset(
    ["S", "machine", "nodefaults", "no-acpi", "no-hpet", "no-user-config", "display", "nographic"]
)
#: Machine keys with effects outside the machine, or that need something which is left out.
_MACHINE_DROPPED = frozenset(
    {
        "append",
        "confidential-guest-support",
        "dtb",
        "dump-guest-core",
        "dumpdtb",
        "graphics",
        "initrd",
        "kernel",
        "memory-encryption",
        "mem-merge",
        "nvdimm-persistence",
        "pflash0",
        "pflash1",
        "shim",
    }
)
#: PCI bridges and host bridges: other kept devices may sit behind them.
_BRIDGES = (
    "i82801b11-bridge",
    "ioh3420",
    "pci-bridge",
    "pci-bridge-seat",
    "pcie-pci-bridge",
    "pcie-root-port",
    "pxb",
    "pxb-pcie",
    "x3130-upstream",
    "xio3130-downstream",
)
_DEVICES = frozenset({*_BRIDGES, *MEMORY_DEVICES, *IOMMUS, "arm-smmuv3", "virtio-pmem-pci"})


@dataclass(frozen=True, slots=True)
class FileBackend:
    """A memory backend on a file, which the probe replaces by an empty one in memory."""

    id: str
    size: int
    #: Alignment it would have had, in bytes.
    align: int


@dataclass(frozen=True, slots=True)
class Paused:
    """What to start."""

    #: Program and options, without the monitor and without file backends.
    argv: tuple[str, ...]
    #: Backends to add in front of the devices, once their descriptors exist.
    files: tuple[FileBackend, ...]
    #: Devices; after all backends.
    devices: tuple[str, ...]
    #: What was left out, in the user's words, in order.
    left_out: tuple[str, ...]


def paused(line: CommandLine) -> Paused:
    """Filter a command line.

    :raise ArgvError: something on it can neither be kept nor left out.
    """
    left_out: list[str] = []
    words: list[str] = []
    devices: list[str] = []
    for option in line.options:
        if option.name in _KEPT:
            words += option.words
        elif option.name == "device":
            if option.keys.get("driver") in _DEVICES:
                devices += option.words
            else:
                left_out.append(str(option))
        elif option.name == "object":
            if option not in line.backends:
                left_out.append(str(option))
        elif option.name not in _SILENT and not _is_flash(option):
            left_out.append(str(option))
    files, backends = _backends(line)
    words += backends
    words += _machine(line, left_out)
    words += _flash(line)
    return Paused(
        argv=(
            line.program,
            *("-S", "-display", "none", "-nodefaults", "-no-user-config"),
            *words,
        ),
        files=tuple(files),
        devices=tuple(devices),
        left_out=tuple(left_out),
    )


def _is_flash(option: Option) -> bool:
    if option.name == "pflash":
        return True
    return option.name == "drive" and option.keys.get("if") == "pflash"


def _machine(line: CommandLine, left_out: list[str]) -> Iterable[str]:
    keys = line.machine
    kept = {key: value for key, value in keys.items() if key not in _MACHINE_DROPPED}
    if any(key.startswith("sgx-epc") for key in kept):
        raise ArgvError("-machine sgx-epc moves the map and cannot be probed without its hardware")
    flash = {"pflash0", "pflash1"}
    left_out += (
        f"-machine {key}={value}"
        for key, value in keys.items()
        if key in _MACHINE_DROPPED and key not in flash
    )
    ram = _own_ram(line, kept)
    words = []
    if ram:
        name, size = ram
        words += ["-object", f"memory-backend-ram,id={name},size={size},reserve=off"]
        kept["memory-backend"] = name
    return [*words, "-machine", emit_keyval(kept, "type")] if kept else words


def _own_ram(line: CommandLine, keys: Mapping[str, str]) -> tuple[str, int] | None:
    """Return id and size for boot RAM that reserves nothing, or None to leave it to QEMU.

    The id is the one QEMU gives its own backend, so that the map shows the same name.
    """
    try:
        size = line.boot_bytes()
    except MachineRefusedError:
        return None  # QEMU says it better.
    if size is None or line.boot_backends():
        return None
    target = target_of(line.program)
    family = recognise(keys["type"], target) if "type" in keys else default_family(target)
    return (family.ram, align_up(size, RAM_ROUNDING)) if family else None


def _backends(line: CommandLine) -> tuple[list[FileBackend], list[str]]:
    """Return backends on files, and the words for the others."""
    files: list[FileBackend] = []
    words: list[str] = []
    for option in line.backends:
        keys = option.keys
        if keys["qom-type"] == "memory-backend-epc":
            raise ArgvError(f"'{option}' moves the map and cannot be probed without SGX hardware")
        if keys["qom-type"] == "memory-backend-ram" and {"id", "size"} <= keys.keys():
            plain = {key: keys[key] for key in ("qom-type", "id", "size")} | {"reserve": "off"}
            words += ["-object", emit_keyval(plain, "qom-type")]
            continue
        try:
            ((name, facts),) = read_backends([option], line.files).items()
        except MachineRefusedError as error:
            raise ArgvError(f"'{option}': {error.message}") from None
        files.append(FileBackend(name, facts.size, facts.align or 2 * MIB))
    return files, words


def _flash(line: CommandLine) -> Iterable[str]:
    """Write flash units of the right size that hold nothing: no image is opened or locked."""
    for image in line.flash:
        size = line.files.image(image.path)
        if size is None:
            raise ArgvError(f"the size of the firmware image '{image.path}' cannot be read")
        drive = f"if=pflash,unit={image.unit},driver=null-co,size={size},read-zeroes=on"
        yield from ("-drive", drive)
