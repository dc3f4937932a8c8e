"""QEMU command lines, read without starting anything."""

from __future__ import annotations

import pytest

from planner.argv.backends import FileFacts
from planner.argv.keyval import (
    KeyvalError,
    Size,
    emit_keyval,
    parse_json,
    parse_keyval,
    split_commas,
)
from planner.argv.line import CommandLine, parse_argv
from planner.argv.split import ArgvError, Option, split_argv
from planner.machine.options import qemu_bool, qemu_size
from planner.machine.request import (
    Backend,
    MachineRefusedError,
    MachineRequest,
    MemoryDevice,
    NotModelledError,
)

VIRTIO_MEM = "-device virtio-mem-pci,memdev=m"
ARM, X86 = "/usr/bin/qemu-system-aarch64", "qemu-system-x86_64"


def line(text: str) -> CommandLine:
    sizes = {"code.fd": 3653632, "vars.fd": 540672, "bios.bin": 65536}
    return parse_argv(text.split(), FileFacts(sizes.get, {"/huge/x": 1 << 30}.get))


def request(text: str) -> MachineRequest:
    return line(text).asked().request


def test_doubled_commas_stand_for_one() -> None:
    assert split_commas("a,,b,c=,,d,,,e") == ["a,b", "c=,d,", "e"]
    assert parse_keyval("file=/a,,b.fd,if=pflash")["file"] == "/a,b.fd"
    assert emit_keyval({"x": "a,b", "type": "virt"}, "type") == "virt,x=a,,b"


def test_keyval_shorthands() -> None:
    assert parse_keyval("virt,usb,nographics,its=off", "type") == {
        "type": "virt",
        "usb": "on",
        "graphics": "off",
        "its": "off",
    }


def test_a_part_without_a_key_is_an_error() -> None:
    with pytest.raises(KeyvalError, match="expected a parameter name before '='"):
        parse_keyval("virt,=on")


def test_json_reads_as_keyval_does() -> None:
    text = '{"driver":"pc-dimm","addr":4294967296,"on":true,"list":[{"a":1}]}'
    assert parse_json(text) == {
        "driver": "pc-dimm",
        "addr": "4294967296",
        "on": "on",
        "list.0.a": "1",
    }


@pytest.mark.parametrize("text", ['{"a":1', '{"a":1,"a":2}', "[1]"])
def test_json_that_is_no_object(text: str) -> None:
    with pytest.raises(KeyvalError, match="not a JSON object"):
        parse_json(text)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "there is no command line"),
        (["-M", "virt"], "the first word must be the QEMU program, not '-M'"),
        ([X86, "-M"], "option '-M' needs a value and is the last word"),
        ([X86, "-frobnicate", "x"], "option '-frobnicate' is not one of QEMU 7.2 to 11.1"),
    ],
)
def test_lines_that_cannot_be_cut(words: list[str], why: str) -> None:
    with pytest.raises(ArgvError) as caught:
        split_argv(words)
    assert why in str(caught.value)


def test_words_without_a_dash_are_disk_images() -> None:
    _, options = split_argv([X86, "disk.img", "--machine", "q35", "-S"])
    assert [(option.name, option.value) for option in options] == [
        ("image", "disk.img"),
        ("machine", "q35"),
        ("S", ""),
    ]


@pytest.mark.parametrize("option", ["-readconfig f", "-set device.d0.addr=4"])
def test_options_behind_the_command_line_are_refused(option: str) -> None:
    with pytest.raises(ArgvError, match="changes options behind the command line"):
        line(f"{X86} {option}")


@pytest.mark.parametrize(
    ("device", "host"),
    [
        ("vfio-pci,host=29:00.0", "0000:29:00.0"),
        ("vfio-pci,host=1:A9:00.0,id=g", "0001:a9:00.0"),
        ("vfio-pci-nohotplug,host=0000:01:00.1", "0000:01:00.1"),
        ('{"driver":"vfio-pci","host":"0000:29:00.0"}', "0000:29:00.0"),
        ("driver=vfio-pci,sysfsdev=/sys/bus/pci/devices/0000:02:00.0/", "0000:02:00.0"),
        ("vfio-pci,fd=7", ""),
    ],
)
def test_assigned_devices_in_every_spelling(device: str, host: str) -> None:
    (found,) = line(f"{X86} -device {device}").assigned
    assert found.host == host


def test_a_host_that_is_no_pci_address() -> None:
    with pytest.raises(ArgvError, match="host=eth0 is not a PCI address"):
        line(f"{X86} -device vfio-pci,host=eth0")


@pytest.mark.parametrize(
    ("text", "family", "version"),
    [
        (f"{ARM} -M virt", "virt", ""),
        (f"{ARM} -machine type=virt-7.2,gic-version=3", "virt", "7.2"),
        (f"{X86}", "pc", ""),
        (f"{X86} --machine pc-q35-4.0.1", "q35", "4.0.1"),
        (f"{X86} -M pc-i440fx-9.2 -machine hpet=off", "pc", "9.2"),
    ],
)
def test_the_machine_in_every_spelling(text: str, family: str, version: str) -> None:
    found = request(text)
    assert (found.type, found.version) == (family, version)


@pytest.mark.parametrize(
    ("text", "boot", "most", "slots"),
    [
        (f"{X86} -m 4096", 4 << 30, 0, 0),
        (f"{X86} -m 4G,slots=2,maxmem=8G", 4 << 30, 8 << 30, 2),
        (f"{X86} -m size=1.5G -m slots=1,maxmem=2G", 3 << 29, 2 << 30, 1),
        (f"{X86} -M q35,memory.size=1G,memory.max-size=2G,memory.slots=3", 1 << 30, 2 << 30, 3),
        (f"{X86}", 128 << 20, 0, 0),
        (f"{X86} -m 0", 128 << 20, 0, 0),
    ],
)
def test_memory_in_every_spelling(text: str, boot: int, most: int, slots: int) -> None:
    found = request(text)
    assert (found.boot_bytes, found.max_bytes, found.slots) == (boot, most, slots)


def test_memory_devices_and_their_backends() -> None:
    found = request(
        f"{X86} -M q35 -m 1G,slots=4,maxmem=64G"
        " -object memory-backend-ram,id=m0,size=1G -device pc-dimm,memdev=m0,id=d0,addr=0x200000000"
        " -object memory-backend-file,id=m1,size=2G,mem-path=/huge/x,align=2M"
        " -device nvdimm,memdev=m1,slot=2"
        ' -object {"qom-type":"memory-backend-memfd","id":"m2","size":1073741824}'
        ' -device {"driver":"virtio-mem-pci","memdev":"m2","memaddr":8589934592,'
        '"block-size":4194304}'
        " -object memory-backend-memfd,id=m3,size=1G,hugetlb=on,hugetlbsize=1G"
        " -device pc-dimm,memdev=m3"
    )
    assert found.devices == (
        MemoryDevice("d0", 1 << 30, 0x2_0000_0000, "pc-dimm", 2 << 20, "m0"),
        MemoryDevice("", 2 << 30, None, "nvdimm", 1 << 30, "m1", 2),
        MemoryDevice("", 1 << 30, 0x2_0000_0000, "virtio-mem-pci", 4096, "m2", None, 4 << 20),
        MemoryDevice("", 1 << 30, None, "pc-dimm", 1 << 30, "m3"),
    )


def test_an_nvdimms_labels_come_off_its_end() -> None:
    found = request(
        f"{X86} -object memory-backend-memfd,id=m,size=1G -device nvdimm,memdev=m,label-size=128K"
    )
    assert found.devices[0].size == (1 << 30) - (128 << 10)


def test_boot_memory_from_backends() -> None:
    objects = "-object memory-backend-ram,id=a,size=1G -object memory-backend-ram,id=b,size=2G"
    found = request(
        f"{ARM} -M virt {objects} -numa node,nodeid=1,memdev=a -numa node,nodeid=0,memdev=b"
    )
    assert found.boot_backends == (Backend("b", 2 << 30), Backend("a", 1 << 30))
    assert found.boot_bytes == 3 << 30
    one = request(f"{ARM} -M virt,memory-backend=a -m 1G {objects}")
    assert one.boot_backends == (Backend("a", 1 << 30),)


def test_firmware_and_flash() -> None:
    found = request(
        f"{X86} -drive if=pflash,unit=1,file=vars.fd -drive if=pflash,file=code.fd,unit=0"
    )
    assert found.flash_bytes == (3653632, 540672)
    nodes = (
        "-blockdev driver=file,node-name=f,filename=code.fd"
        " -blockdev driver=raw,node-name=r,file=f -M q35,pflash0=r"
    )
    assert request(f"{X86} {nodes}").flash_bytes == (3653632,)
    assert request(f"{X86} -pflash code.fd -pflash vars.fd").flash_bytes == (3653632, 540672)
    bios = request(f"{X86} -bios bios.bin")
    assert (bios.firmware, bios.firmware_bytes) == (True, 65536)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-drive if=pflash,format=raw", "names no file"),
        ("-drive if=pflash,unit=1,file=x", "do not start at 0"),
        ("-pflash a -drive if=pflash,unit=0,file=b", "pflash unit 0 is used twice"),
        ("-M q35,pflash0=nowhere", "pflash0=nowhere leads to no -blockdev with a file name"),
    ],
)
def test_flash_that_makes_no_sense(text: str, why: str) -> None:
    with pytest.raises(ArgvError) as caught:
        line(f"{X86} {text}")
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "cpus"),
    [
        ("", (1, 1)),
        ("-smp 4", (4, 4)),
        ("-smp cpus=2,maxcpus=8", (2, 8)),
        ("-smp maxcpus=8", (8, 8)),
        ("-smp sockets=2,cores=3,threads=2", (12, 12)),
        ("-smp 2,sockets=2,cores=2,threads=1", (2, 4)),
        ("-M q35,smp.cpus=3", (3, 3)),
    ],
)
def test_cpus(text: str, cpus: tuple[int, int]) -> None:
    found = request(f"{X86} {text}")
    assert (found.cpus, found.max_cpus) == cpus


def test_globals_in_both_spellings() -> None:
    found = request(
        f"{X86} -global q35-pcihost.pci-hole64-size=1T"
        " -global driver=ICH9-LPC,property=disable_s3,value=1"
    )
    assert found.globals == {"q35-pcihost.pci-hole64-size": "1T", "ICH9-LPC.disable_s3": "1"}


def test_old_flags_become_machine_options() -> None:
    assert request(f"{X86} -no-hpet -no-acpi").options == {"acpi": "off", "hpet": "off"}


@pytest.mark.parametrize("text", ["-enable-kvm", "-accel kvm", "-M q35,accel=kvm"])
def test_kvm_in_every_spelling(text: str) -> None:
    assert request(f"{X86} {text}").accel == "kvm"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{X86} -M microvm", "machine 'microvm' is not in the machine tables"),
        (f"{X86} -M virt", "machine 'virt' of qemu-system-x86_64 is not in the machine tables"),
        ("qemu-system-riscv64 -M virt", "machine 'virt' of qemu-system-riscv64"),
        ("qemu-system-arm -M virt", "machine 'virt' of qemu-system-arm"),
        (f"{X86} -accel kvm -accel tcg", "which of the accelerators kvm, tcg is used"),
        (f"{X86} -M q35,accel=kvm:tcg", "which of the accelerators kvm, tcg is used"),
        (f"{ARM} -M virt -device arm-smmuv3", "device 'arm-smmuv3' is not in the machine tables"),
        (
            f"{X86} -object memory-backend-file,id=m,size=1G,mem-path=/x -device pc-dimm,memdev=m",
            "the alignment of memory backend 'm' depends on a file",
        ),
        (
            f"{X86} -object memory-backend-ram,id=m,size=1G -device pxb {VIRTIO_MEM}",
            "names no bus, and QEMU may take that of pxb",
        ),
    ],
)
def test_what_is_not_modelled_says_so(text: str, why: str) -> None:
    with pytest.raises(NotModelledError) as caught:
        request(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{ARM} -m 1G", "No machine specified, and there is no default"),
        (f"{X86} -device pc-dimm", "'memdev' property is not set"),
        (f"{X86} -device pc-dimm,memdev=x", "Device 'x' not found"),
        (f"{X86} -object memory-backend-ram,id=x", "has no id or no size"),
        (f"{X86} -M q35,memory-backend=x", "memory backend 'x' is not defined"),
        (f"{X86} -m 1G,slots=x", "Parameter 'slots' expects a number, got 'x'"),
        (f"{X86} -smp 0", "CPU topology parameters must be greater than zero"),
        (f"{X86} -device intel-iommu -device amd-iommu", "multiple vIOMMUs"),
    ],
)
def test_what_qemu_would_refuse(text: str, why: str) -> None:
    with pytest.raises(MachineRefusedError) as caught:
        request(text)
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f"{X86} -m 1G,bogus=1", "-m: 'bogus' is not one of size, slots, maxmem"),
        (f"{X86} -global nonsense", "is not driver.property=value"),
        (f"{X86} -device {{broken", "-device: not a JSON object"),
    ],
)
def test_arguments_that_follow_no_grammar(text: str, why: str) -> None:
    with pytest.raises(ArgvError) as caught:
        request(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("4096", 4096), ("4k", 4096), ("1.5G", 3 << 29), ("0x10", 16), ("2T", 2 << 40), ("7B", 7)],
)
def test_sizes_as_qemu_reads_them(text: str, value: int) -> None:
    assert qemu_size("size", text) == value


@pytest.mark.parametrize("text", ["", "G", "1X", "-1", "0x1.5", "16E", "1 G"])
def test_sizes_qemu_refuses(text: str) -> None:
    with pytest.raises(MachineRefusedError, match="expects a non-negative number below 2"):
        qemu_size("size", text)


def test_a_word_that_is_neither_on_nor_off() -> None:
    with pytest.raises(MachineRefusedError, match="Parameter 'its' expects 'on' or 'off'"):
        qemu_bool("its", "perhaps")


@pytest.mark.parametrize(
    ("value", "changed"),
    [
        ("x,id=m,mem-path=/a,,b,size=1G", "x,id=m,mem-path=/a,,b,size=2G"),
        ("qom-type=x,size=1G,nodes=0,nodes=2", "qom-type=x,size=2G,nodes=0,nodes=2"),
        ('{"qom-type":"x","size":1,"id":"a,b"}', '{"qom-type":"x","size":2147483648,"id":"a,b"}'),
    ],
)
def test_a_changed_option_keeps_its_spelling_and_its_words(value: str, changed: str) -> None:
    found = Option.of("object", value).changed({"size": Size(2 << 30)})
    assert (found.value, found.keys) == (changed, Option.of("object", changed).keys)
