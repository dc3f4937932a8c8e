"""What a QEMU command line asks for: the machine, and the devices it assigns."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from planner.argv.backends import BackendFacts, FileFacts, Lookup, read_backends
from planner.argv.firmware import FlashImage, find_flash
from planner.argv.smp import parse_smp
from planner.argv.split import ArgvError, Option, split_argv
from planner.machine.options import qemu_size
from planner.machine.request import (
    Backend,
    MachineRefusedError,
    MachineRequest,
    MemoryDevice,
    NotModelledError,
)
from planner.span import MIB

__all__ = ["AssignedDevice", "CommandLine", "machine_keys", "parse_argv"]

#: hw/core/machine.c ``machine_class_base_init()``: default_ram_size, QEMU 7.2.
_DEFAULT_RAM = 128 * MIB
_MACHINES = (
    (re.compile(r"virt(?:-(?P<version>[\d.]+))?\Z"), "virt"),
    (re.compile(r"(?:q35|pc-q35-(?P<version>[\d.]+))\Z"), "q35"),
    (re.compile(r"(?:pc|pc-i440fx-(?P<version>[\d.]+))\Z"), "pc"),
)
#: How the name of the program ends, for those whose CPU tables are here.
_PROGRAMS = {
    "virt": ("aarch64", "arm64"),
    "q35": ("x86_64", "amd64", "-kvm"),
    "pc": ("x86_64", "amd64", "-kvm"),
}
MEMORY_DEVICES = ("pc-dimm", "nvdimm", "virtio-mem-pci")
IOMMUS = ("intel-iommu", "amd-iommu", "virtio-iommu-pci")
#: Devices whose registers or memory are in the map, which the tables do not have.
_UNMODELLED = (
    "arm-smmuv3",
    "cxl-type3",
    "pxb-cxl",
    "tpm-crb",
    "tpm-tis",
    "tpm-tis-device",
    "vfio-amd-xgbe",
    "vfio-calxeda-xgmac",
    "vfio-platform",
    "virtio-mem",
    "virtio-pmem",
    "virtio-pmem-pci",
)
ASSIGNED = ("vfio-pci", "vfio-pci-nohotplug")
_BDF = re.compile(
    r"(?:(?P<domain>[0-9a-fA-F]{1,8}):)?(?P<rest>[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\.[0-7])\Z"
)


def _unknown(path: str) -> int | None:
    del path
    return None


@dataclass(frozen=True, slots=True)
class AssignedDevice:
    """A host device that the command line gives to the guest."""

    #: QEMU's id, empty when none is given.
    id: str
    driver: str
    #: PCI address in full form, or the last part of sysfsdev; empty when only QEMU knows (fd=).
    host: str
    option: Option


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command line, read."""

    program: str
    options: tuple[Option, ...]
    #: Machine type as written, ``pc-q35-7.2``; empty when the command line names none.
    machine: str
    assigned: tuple[AssignedDevice, ...]
    #: pflash images by unit.
    flash: tuple[FlashImage, ...]
    files: FileFacts = field(repr=False)

    def all(self, name: str) -> list[Option]:
        """Return the options of that name, in order."""
        return [option for option in self.options if option.name == name]

    def image_size(self, path: str) -> int | None:
        """Return the size of a firmware image in bytes, None when it is not known."""
        return self.files.image(path)

    def boot_bytes(self) -> int | None:
        """Return boot memory as ``-m`` gives it, None when it does not.

        :raise MachineRefusedError: QEMU would refuse the number.
        """
        return _memory(self, machine_keys(self.options))[0]

    def backend_align(self, name: str) -> int | None:
        """Return the alignment of a memory backend in bytes, None when it is not known."""
        found = read_backends(self.options, self.files).get(name)
        return found.align if found else None

    def request(self, qemu: str = "") -> MachineRequest:
        """Return what the machine tables need.

        :param qemu: version of the program, where it is known.
        :raise ArgvError: the command line contradicts QEMU's grammar.
        :raise MachineRefusedError: QEMU would refuse it.
        :raise NotModelledError: something on it moves the map and is not in the tables.
        """
        return _request(self, qemu)


def parse_argv(
    words: Sequence[str], *, image_size: Lookup = _unknown, page_size: Lookup = _unknown
) -> CommandLine:
    """Read a command line, program first.

    :param image_size: size of a firmware image in bytes as the guest sees it, None if unknown.
    :param page_size: page size of the file system a memory backend's path is on.
    :raise ArgvError: it cannot be read.
    """
    program, options = split_argv(words)
    for option in options:
        if option.name in {"readconfig", "set"}:
            raise ArgvError(
                f"-{option.name} changes options behind the command line; write what it sets as"
                " ordinary options"
            )
    machine = machine_keys(options).get("type", "")
    return CommandLine(
        program=program,
        options=options,
        machine=machine,
        assigned=tuple(_assigned(options)),
        flash=find_flash(options, machine_keys(options)),
        files=FileFacts(image_size, page_size),
    )


def machine_keys(options: Iterable[Option]) -> dict[str, str]:
    """Return what all ``-machine`` options together say; the type's key is ``type``.

    :raise ArgvError: one does not follow QEMU's grammar.
    """
    keys: dict[str, str] = {}
    for option in options:
        if option.name == "machine":
            keys |= option.keys("type")
    return keys


def _assigned(options: Iterable[Option]) -> Iterable[AssignedDevice]:
    for option in options:
        if option.name != "device":
            continue
        keys = option.keys("driver")
        if keys.get("driver") not in ASSIGNED:
            continue
        host = keys.get("host", "")
        if host:
            match = _BDF.match(host)
            if not match:
                raise ArgvError(f"'{option}': host={host} is not a PCI address")
            domain = int(match["domain"] or "0", 16)
            host = f"{domain:04x}:{match['rest'].lower()}"
        elif "sysfsdev" in keys:
            host = posixpath.basename(keys["sysfsdev"].rstrip("/"))
        yield AssignedDevice(keys.get("id", ""), keys["driver"], host, option)


def _request(line: CommandLine, qemu: str) -> MachineRequest:
    keys = machine_keys(line.options)
    family, version = _family(line)
    boot, most, slots = _memory(line, keys)
    backends = read_backends(line.options, line.files)
    boot_backends = _boot_backends(line, keys, backends)
    if boot is None:
        boot = sum(backend.size for backend in boot_backends) or _DEFAULT_RAM
    cpus, max_cpus = parse_smp(line.all("smp"), keys)
    bios = [option.value for option in line.all("bios")] + (
        [keys["firmware"]] if "firmware" in keys else []
    )
    flash = [line.image_size(image.path) for image in line.flash]
    return MachineRequest(
        type=family,
        version=version,
        cpu=_last(line.all("cpu")),
        boot_bytes=boot,
        max_bytes=most,
        slots=slots,
        options=_machine_options(line, keys),
        globals=dict(_globals(line)),
        devices=tuple(_memory_devices(line, backends)),
        firmware=bool(bios or line.flash),
        firmware_bytes=line.image_size(bios[-1]) if bios else None,
        flash_bytes=tuple(flash),
        qemu=qemu,
        accel=_accel(line, keys),
        cpus=cpus,
        max_cpus=max_cpus,
        iommu=_iommu(line),
        boot_backends=boot_backends,
    )


def _last(options: Sequence[Option]) -> str:
    return options[-1].value if options else ""


def _family(line: CommandLine) -> tuple[str, str]:
    program = posixpath.basename(line.program)
    name = line.machine
    if not name:
        if not program.endswith(_PROGRAMS["pc"]):
            raise MachineRefusedError(
                "No machine specified, and there is no default", "add -M and a machine type"
            )
        name = "pc"
    for pattern, family in _MACHINES:
        match = pattern.match(name)
        if not match:
            continue
        if not program.endswith(_PROGRAMS[family]):
            raise NotModelledError(f"machine '{name}' of {program} is not in the machine tables")
        return family, match["version"] or ""
    raise NotModelledError(f"machine '{name}' is not in the machine tables")


def _memory(line: CommandLine, keys: dict[str, str]) -> tuple[int | None, int, int]:
    """Return boot memory (None when not given), maxmem and slots, in bytes."""
    given: dict[str, str] = {}
    for option in line.all("m"):
        given |= option.keys("size")
    for name in given:
        if name not in {"size", "slots", "maxmem"}:
            raise ArgvError(f"-m: '{name}' is not one of size, slots, maxmem")
    boot = qemu_size("size", given["size"], "M") if "size" in given else None
    if boot is None and "memory.size" in keys:
        boot = qemu_size("memory.size", keys["memory.size"])
    most = given.get("maxmem", keys.get("memory.max-size", "0"))
    slots = given.get("slots", keys.get("memory.slots", "0"))
    if not slots.isdecimal():
        raise MachineRefusedError(f"Parameter 'slots' expects a number, got '{slots}'")
    # -m 0 means the default, as in QEMU.
    return boot or None, qemu_size("maxmem", most), int(slots)


def _boot_backends(
    line: CommandLine, keys: dict[str, str], backends: dict[str, BackendFacts]
) -> tuple[Backend, ...]:
    nodes: dict[int, str] = {}
    for option in line.all("numa"):
        numa = option.keys("type")
        if numa.get("type") == "node" and "memdev" in numa:
            nodeid = numa.get("nodeid", str(len(nodes)))
            nodes[int(nodeid) if nodeid.isdecimal() else len(nodes)] = numa["memdev"]
    names = [nodes[node] for node in sorted(nodes)]
    if not names and "memory-backend" in keys:
        names = [keys["memory-backend"]]
    for name in names:
        if name not in backends:
            raise MachineRefusedError(f"memory backend '{name}' is not defined by any -object")
    return tuple(Backend(name, backends[name].size) for name in names)


def _memory_devices(line: CommandLine, backends: dict[str, BackendFacts]) -> Iterable[MemoryDevice]:
    pxb = ""
    for option in line.all("device"):
        keys = option.keys("driver")
        driver = keys.get("driver", "")
        pxb = driver if driver.startswith("pxb") else pxb
        if driver in _UNMODELLED:
            raise NotModelledError(f"device '{driver}' is not in the machine tables")
        if driver not in MEMORY_DEVICES:
            continue
        if pxb and driver == "virtio-mem-pci" and "bus" not in keys:
            raise NotModelledError(f"'{option}' names no bus, and QEMU may take that of {pxb}")
        memdev = keys.get("memdev", "")
        if memdev not in backends:
            raise MachineRefusedError(
                f"Device '{memdev}' not found" if memdev else "'memdev' property is not set",
                f"'{option}' needs memdev= with the id of a memory backend",
            )
        facts = backends[memdev]
        if facts.align is None:
            raise NotModelledError(
                f"the alignment of memory backend '{memdev}' depends on a file that is not known"
            )
        size = facts.size
        if driver == "nvdimm":
            # hw/mem/nvdimm.c nvdimm_prepare_memory_region(): the label area comes off the end.
            size -= qemu_size("label-size", keys.get("label-size", "0"))
            size -= size % facts.align
        addr = keys.get("memaddr" if driver == "virtio-mem-pci" else "addr", "0")
        slot = keys.get("slot", "-1")
        yield MemoryDevice(
            id=keys.get("id", ""),
            size=size,
            addr=qemu_size("addr", addr) or None,
            driver=driver,
            align=facts.align,
            memdev=memdev,
            slot=int(slot) if slot.isdecimal() else None,
            block_size=(
                qemu_size("block-size", keys["block-size"]) if "block-size" in keys else None
            ),
        )


def _iommu(line: CommandLine) -> str:
    found = [
        driver
        for option in line.all("device")
        if (driver := option.keys("driver").get("driver", "")) in IOMMUS
    ]
    if len(found) > 1:
        raise MachineRefusedError("QEMU does not support multiple vIOMMUs for x86 yet.")
    return found[0] if found else ""


def _machine_options(line: CommandLine, keys: dict[str, str]) -> dict[str, str]:
    dropped = {"type", "memory"}
    options = {key: value for key, value in keys.items() if key.partition(".")[0] not in dropped}
    flags = {option.name for option in line.options}
    if "no-acpi" in flags:
        options["acpi"] = "off"
    if "no-hpet" in flags:
        options["hpet"] = "off"
    return options


def _globals(line: CommandLine) -> Iterable[tuple[str, str]]:
    for option in line.all("global"):
        driver, dot, rest = option.value.partition(".")
        name, equals, value = rest.partition("=")
        if dot and equals and "=" not in driver:
            yield f"{driver}.{name}", value
            continue
        keys = option.keys()
        if not {"driver", "property", "value"} <= keys.keys():
            raise ArgvError(f"'{option}' is not driver.property=value")
        yield f"{keys['driver']}.{keys['property']}", keys["value"]


def _accel(line: CommandLine, keys: dict[str, str]) -> str:
    named = [option.keys("accel").get("accel", "") for option in line.all("accel")]
    named += keys["accel"].split(":") if "accel" in keys else []
    if line.all("enable-kvm"):
        named.append("kvm")
    wanted = list(dict.fromkeys(named)) or ["tcg"]
    if len(wanted) > 1 or wanted[0] not in {"tcg", "kvm"}:
        raise NotModelledError(
            f"which of the accelerators {', '.join(wanted)} is used decides the map; name one"
        )
    return wanted[0]
