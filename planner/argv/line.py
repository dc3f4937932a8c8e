"""What a QEMU command line asks for: the machine, and the devices it assigns."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from planner.argv.backends import NO_FILES, FileFacts, read_backends
from planner.argv.firmware import FlashImage, find_flash
from planner.argv.smp import parse_smp
from planner.argv.split import ArgvError, Option, read_keys, split_argv
from planner.machine.asked import Asked, HostDevice
from planner.machine.device_memory import DIMM_DRIVERS, VIRTIO_MEM
from planner.machine.family import QEMU_FAMILIES, default_family, recognise, target_of
from planner.machine.options import qemu_size
from planner.machine.request import (
    Backend,
    MachineRefusedError,
    MachineRequest,
    MemoryDevice,
    NotModelledError,
)
from planner.span import MIB
from planner.text.pci import parse_pci

__all__ = ["IOMMUS", "MEMORY_DEVICES", "CommandLine", "parse_argv"]

#: hw/core/machine.c ``machine_class_base_init()``: default_ram_size, QEMU 7.2.
_DEFAULT_RAM = 128 * MIB
#: Flags that QEMU reads as a key of -machine, switched off (system/vl.c, 7.2).
_OLD_FLAGS = ("no-acpi", "no-hpet")
MEMORY_DEVICES = (*DIMM_DRIVERS, VIRTIO_MEM)
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


@dataclass(frozen=True, slots=True)
class CommandLine:
    """A command line, read once; what several options say of one thing stands together."""

    program: str
    #: Every option as it was given, in order.
    options: tuple[Option, ...]
    #: Of ``-machine`` and the older flags for its keys; the machine's type is ``type``.
    machine: Mapping[str, str]
    #: Of ``-m``.
    memory: Mapping[str, str]
    #: Of ``-smp`` and the machine's ``smp.``.
    smp: Mapping[str, str]
    #: Of each ``-numa``.
    numa: tuple[Mapping[str, str], ...]
    #: ``driver.property`` and value.
    globals: Mapping[str, str]
    cpu: str
    #: Every accelerator named, without repeats.
    accels: tuple[str, ...]
    #: Path of the firmware image, ``-bios`` or the machine's ``firmware``.
    firmware: str
    #: pflash images by unit.
    flash: tuple[FlashImage, ...]
    #: ``-object`` of memory backends.
    backends: tuple[Option, ...]
    devices: tuple[Option, ...]
    assigned: tuple[HostDevice, ...]
    files: FileFacts = field(repr=False)

    @property
    def argv(self) -> tuple[str, ...]:
        """The words: program and options."""
        return (self.program, *(word for option in self.options for word in option.words))

    def boot_bytes(self) -> int | None:
        """Return boot memory as it is given in numbers, None when it is not.

        :raise MachineRefusedError: QEMU would refuse the number.
        """
        if "size" in self.memory:
            boot = qemu_size("size", self.memory["size"], "M")
        else:
            boot = qemu_size("memory.size", self.machine.get("memory.size", "0"))
        # -m 0 means the default, as in QEMU.
        return boot or None

    def boot_backends(self) -> tuple[str, ...]:
        """Return the ids of the memory backends boot memory is made of, in guest order."""
        nodes: dict[int, str] = {}
        for numa in self.numa:
            if numa.get("type") == "node" and "memdev" in numa:
                nodeid = numa.get("nodeid", str(len(nodes)))
                nodes[int(nodeid) if nodeid.isdecimal() else len(nodes)] = numa["memdev"]
        if not nodes and "memory-backend" in self.machine:
            return (self.machine["memory-backend"],)
        return tuple(nodes[node] for node in sorted(nodes))

    def asked(self, qemu: str = "") -> Asked:
        """Return what the command line asks for.

        :param qemu: version of the program, where it is known.
        """
        backends: dict[str, Backend] = {}
        wanted: MachineRequest | MachineRefusedError | NotModelledError
        try:
            backends = read_backends(self.backends, self.files)
            wanted = _request(self, backends, qemu)
        except (MachineRefusedError, NotModelledError) as error:
            wanted = error
        devices = [option.keys for option in self.devices]
        memdevs = [keys.get("memdev") for keys in devices if keys.get("driver") in MEMORY_DEVICES]
        used = {*self.boot_backends(), *memdevs}
        return Asked(
            wanted,
            self.assigned,
            tuple(b for b in backends.values() if b.id in used),
            empty_nodes=self._empty_nodes(),
            kernel_line=self.kernel_line,
        )

    @property
    def kernel_line(self) -> str | None:
        """What QEMU tells the kernel it loads; None where it loads none."""
        named = {option.name: option.value for option in self.options}
        if "kernel" not in named and "kernel" not in self.machine:
            return None
        return named.get("append", self.machine.get("append", ""))

    def _empty_nodes(self) -> frozenset[int]:
        """Return the NUMA nodes without CPUs and boot memory, but for the last.

        Where no node is given CPUs, QEMU spreads them as it likes: none is known to lack them.
        """
        nodes: dict[int, bool] = {}
        spread = True
        for numa in self.numa:
            if numa.get("type") == "node":
                word = numa.get("nodeid", str(len(nodes)))
                number = int(word) if word.isdecimal() else len(nodes)
                has = "cpus" in numa or "memdev" in numa or numa.get("mem", "0") != "0"
                nodes[number] = nodes.get(number, False) or has
                spread = spread and "cpus" not in numa
            elif numa.get("type") == "cpu" and numa.get("node-id", "").isdecimal():
                nodes[int(numa["node-id"])] = True
                spread = False
        if spread or not nodes:
            return frozenset()
        return frozenset(n for n, has in nodes.items() if not has and n != max(nodes))


def parse_argv(words: Sequence[str], files: FileFacts = NO_FILES) -> CommandLine:
    """Read a command line, program first.

    :raise ArgvError: it cannot be read.
    """
    program, options = split_argv(words)
    named: dict[str, list[Option]] = defaultdict(list)
    for option in options:
        if option.name in {"readconfig", "set"}:
            raise ArgvError(
                f"-{option.name} changes options behind the command line; write what it sets as"
                " ordinary options"
            )
        named["machine" if option.name in _OLD_FLAGS else option.name].append(option)
    machine = _merged(_machine_keys(option) for option in named["machine"])
    accels = [option.keys.get("accel", "") for option in named["accel"]]
    accels += machine["accel"].split(":") if "accel" in machine else []
    accels += ["kvm"] if named["enable-kvm"] else []
    firmware = [option.value for option in named["bios"]] + [machine.get("firmware", "")]
    kinds = [(option.keys.get("qom-type", ""), option) for option in named["object"]]
    return CommandLine(
        program=program,
        options=options,
        machine=machine,
        memory=_merged(map(_memory_keys, named["m"])),
        smp=_merged(
            [
                {key[4:]: value for key, value in machine.items() if key.startswith("smp.")},
                *(option.keys for option in named["smp"]),
            ]
        ),
        numa=tuple(option.keys for option in named["numa"]),
        globals=_merged(map(_global, named["global"])),
        cpu=named["cpu"][-1].value if named["cpu"] else "",
        accels=tuple(dict.fromkeys(accels)),
        firmware=next(filter(None, reversed(firmware)), ""),
        flash=find_flash(options, machine),
        backends=tuple(option for kind, option in kinds if kind.startswith("memory-backend-")),
        devices=tuple(named["device"]),
        assigned=tuple(_assigned(named["device"])),
        files=files,
    )


def _merged(parts: Iterable[Mapping[str, str]]) -> dict[str, str]:
    return {key: value for part in parts for key, value in part.items()}


def _machine_keys(option: Option) -> Mapping[str, str]:
    return option.keys if option.name == "machine" else {option.name.removeprefix("no-"): "off"}


def _memory_keys(option: Option) -> Mapping[str, str]:
    for name in option.keys:
        if name not in {"size", "slots", "maxmem"}:
            raise ArgvError(f"-m: '{name}' is not one of size, slots, maxmem")
    return option.keys


def _global(option: Option) -> dict[str, str]:
    """Read ``driver.property=value``, whose value is taken as it is, or the three as keys."""
    driver, dot, rest = option.value.partition(".")
    name, equals, value = rest.partition("=")
    if dot and equals and "=" not in driver:
        return {f"{driver}.{name}": value}
    keys = read_keys(option.name, option.value)
    if not {"driver", "property", "value"} <= keys.keys():
        raise ArgvError(f"'{option}' is not driver.property=value")
    return {f"{keys['driver']}.{keys['property']}": keys["value"]}


def _assigned(devices: Iterable[Option]) -> Iterable[HostDevice]:
    for option in devices:
        if option.keys.get("driver") not in ASSIGNED:
            continue
        host = option.keys.get("host", "")
        if host:
            host = _pci_host(host, option)
        elif "sysfsdev" in option.keys:
            host = posixpath.basename(option.keys["sysfsdev"].rstrip("/"))
            host = parse_pci(host) or host
        yield HostDevice(host, str(option))


def _pci_host(text: str, option: Option) -> str:
    name = parse_pci(text)
    if name is None:
        raise ArgvError(f"'{option}': host={text} is not a PCI address")
    if name.index(":") > 4:
        # hw/core/qdev-properties-system.c set_pci_host_devaddr(): dom > 0xffff, 7.2 to 11.1.
        raise ArgvError(
            f"'{option}': QEMU takes no PCI domain above ffff in host=; write"
            f" sysfsdev=/sys/bus/pci/devices/{name}"
        )
    return name


def _request(line: CommandLine, backends: dict[str, Backend], qemu: str) -> MachineRequest:
    family, version = _family(line)
    slots = line.memory.get("slots", line.machine.get("memory.slots", "0"))
    if not slots.isdecimal():
        raise MachineRefusedError(f"Parameter 'slots' expects a number, got '{slots}'")
    most = line.memory.get("maxmem", line.machine.get("memory.max-size", "0"))
    boot = line.boot_bytes()
    boot_backends = _boot_backends(line, backends)
    if boot is None:
        boot = sum(backend.size for backend in boot_backends) or _DEFAULT_RAM
    cpus, max_cpus = parse_smp(line.smp)
    return MachineRequest(
        type=family,
        version=version,
        cpu=line.cpu,
        boot_bytes=boot,
        max_bytes=qemu_size("maxmem", most),
        slots=int(slots),
        options={
            key: value
            for key, value in line.machine.items()
            if key.partition(".")[0] not in {"type", "memory"}
        },
        globals=line.globals,
        devices=tuple(_memory_devices(line, backends)),
        firmware=bool(line.firmware or line.flash),
        firmware_bytes=line.files.image(line.firmware) if line.firmware else None,
        flash_bytes=tuple(line.files.image(image.path) for image in line.flash),
        qemu=qemu,
        accel=_accel(line),
        cpus=cpus,
        max_cpus=max_cpus,
        iommu=_iommu(line),
        boot_backends=boot_backends,
    )


def _family(line: CommandLine) -> tuple[str, str]:
    target, name = target_of(line.program), line.machine.get("type", "")
    if not name:
        default = default_family(target)
        if default is None:
            raise MachineRefusedError(
                "No machine specified, and there is no default", "add -M and a machine type"
            )
        name = default.alias
    found = recognise(name, target)
    version = found.version_in(name) if found else None
    if found and version is not None and found.name in QEMU_FAMILIES and target == found.targets[0]:
        return found.name, version
    other = recognise(name)
    known = other and other.name in QEMU_FAMILIES and other.version_in(name) is not None
    of = f" of {posixpath.basename(line.program)}" if known else ""
    raise NotModelledError(f"machine '{name}'{of} is not in the machine tables")


def _boot_backends(line: CommandLine, backends: dict[str, Backend]) -> tuple[Backend, ...]:
    names = line.boot_backends()
    for name in names:
        if name not in backends:
            raise MachineRefusedError(f"memory backend '{name}' is not defined by any -object")
    return tuple(backends[name] for name in names)


def _memory_devices(line: CommandLine, backends: dict[str, Backend]) -> Iterable[MemoryDevice]:
    pxb = ""
    for option in line.devices:
        keys = option.keys
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
            node=int(keys["node"]) if keys.get("node", "").isdecimal() else 0,
            block_size=(
                qemu_size("block-size", keys["block-size"]) if "block-size" in keys else None
            ),
        )


def _iommu(line: CommandLine) -> str:
    named = [option.keys.get("driver", "") for option in line.devices]
    found = [driver for driver in named if driver in IOMMUS]
    if len(found) > 1:
        raise MachineRefusedError("QEMU does not support multiple vIOMMUs for x86 yet.")
    return found[0] if found else ""


def _accel(line: CommandLine) -> str:
    wanted = line.accels or ("tcg",)
    if len(wanted) > 1 or wanted[0] not in {"tcg", "kvm"}:
        raise NotModelledError(
            f"which of the accelerators {', '.join(wanted)} is used decides the map; name one"
        )
    return wanted[0]
