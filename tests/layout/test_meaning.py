"""What a layout's values mean together: each contradiction, its words and its place."""

from __future__ import annotations

import pytest

from planner.layout.load import load
from planner.region import Kind, WindowKind

HEAD = "schema: 1\nname: a\n"
VIRT = HEAD + "machine: {type: virt}\n"
GOOD = VIRT + "memory: {size: 4GiB}\n"
BOARD = HEAD + "machine: {type: custom, address-bits: 40}\nmemory: {size: 1GiB}\nregions:\n"
RAM = "  - {name: ram, kind: ram, base: 1GiB, size: 8GiB}\n"

CASES: list[tuple[str, str, str, str]] = [
    (
        VIRT + "memory: {size: 4GiB, max: 2GiB}\n",
        "MM205 4:27",
        "'max' is 2 GiB, less than the size of 4 GiB",
        "raise max, or leave it out",
    ),
    (
        VIRT + "memory: {size: 4GiB, boot-min: 5GiB}\n",
        "MM205 4:32",
        "'boot-min' is 5 GiB, more than the size of 4 GiB",
        "lower boot-min, or raise size",
    ),
    (
        VIRT + "memory: {size: 4GiB, block: 100MiB}\n",
        "MM205 4:29",
        "the memory block is 100 MiB, which is no power of two from 1 MiB up",
        "Linux on Arm takes 128MiB (512MiB with 64 KiB pages), on x86 128MiB to 2GiB",
    ),
    (
        VIRT + "memory: {size: 4GiB, max: 8GiB, slots: 0}\n",
        "MM205 4:40",
        "there are no slots for the 4 GiB between size and max",
        "give slots, or leave the key out and let the plan count them",
    ),
    (
        GOOD + "guest: debian-12-amd64\n",
        "MM111 5:8",
        (
            "machine type virt does not tell which kernel 'debian-12-amd64' is: there is one for"
            " x86_64"
        ),
        "name another, or say acpi-hotplug, virtio-mem and onlines in its place",
    ),
    (
        HEAD + "machine: {type: custom}\nmemory: {size: 1GiB}\nguest: fedora\nregions:\n" + RAM,
        "MM111 5:8",
        (
            "machine type custom does not tell which kernel 'fedora' is: there is one for x86_64,"
            " aarch64"
        ),
        "name one with its architecture, as in fedora-x86_64",
    ),
    (
        VIRT + "memory: {size: 0}\n",
        "MM205 4:16",
        "the memory size is 0 bytes; no machine boots with less than 1 MiB",
        "write a size, as in 4GiB",
    ),
    (
        GOOD + "doorbell: {pin: 0xfee00000, prefer: 0xfed00000}\n",
        "MM207 5:17",
        "the doorbell is pinned to one place and preferred at another",
        "keep 'pin' or 'prefer'",
    ),
    (
        GOOD + "doorbell: {pin: 0xffff_ffff_fff0_0000, size: 2MiB}\n",
        "MM207 5:17",
        "the doorbell's window of 2 MiB at 0xfffffffffff00000 leaves the 64-bit address space",
        "choose a lower address",
    ),
    (
        GOOD + "doorbell: {size: 512KiB}\n",
        "MM207 5:18",
        "the doorbell's window is 512 KiB, which is no whole number of MiB",
        "write 1MiB, or leave it out and let the plan ask the hosts",
    ),
    (
        GOOD + "doorbell: {prefer: 0xfee80000}\n",
        "MM207 5:20",
        "the doorbell's address 0xfee80000 is not on a 1 MiB boundary",
        "write 0xfee00000 or 0xfef00000",
    ),
    (
        GOOD + 'devices: [{host: "29:00.0"}]\nhotplug: {devices: ["0000:29:00.0"]}\n',
        "MM112 6:21",
        "the device 0000:29:00.0 is named twice",
        "keep it under 'devices' (assigned at launch) or 'hotplug' (plugged later)",
    ),
    (
        GOOD + "silence: [{code: MM999, reason: none}]\n",
        "MM111 5:18",
        "there is no finding 'MM999'",
        "the nearest is 'MM",
    ),
    (
        GOOD + "silence: [{code: MM401, reason: none}]\n",
        "MM111 5:18",
        "MM401 (ram-in-reserved) is an error, which cannot be silenced",
        "mend its cause; warnings and notes can be silenced",
    ),
    (
        BOARD.replace("type: custom,", "type: custom, cpu: max,") + RAM,
        "MM204 3:30",
        "a custom machine has no 'cpu': the layout describes it, not QEMU",
        "remove 'cpu', or name a machine type of QEMU",
    ),
    (
        GOOD + "regions: [{name: a, kind: mmio, base: 0, size: 4KiB}]\n",
        "MM204 5:10",
        "'regions' describe a custom machine; the regions of virt are QEMU's own",
        "remove them, or set the machine's type to custom",
    ),
    (
        BOARD + RAM + "  - {name: a, kind: mmio, base: 0x100_0000_0000, size: 4KiB}\n",
        "MM201 7:33",
        "'a' of 4 KiB at 0x10000000000 leaves 40 address bits",
        "its last byte would be 0x10000000fff; the last there is 0xffffffffff",
    ),
    (
        BOARD + RAM + "  - {name: a, kind: mmio, base: 0, size: 0}\n",
        "MM201 7:33",
        "'a' has no bytes",
        "give it a size",
    ),
    (
        BOARD + RAM + "  - {name: ram, kind: mmio, base: 0, size: 4KiB}\n",
        "MM201 7:12",
        "two regions are named 'ram'",
        "give each its own name",
    ),
    (
        BOARD + RAM + "  - {name: a, kind: mmio, base: 0x3fff_f000, size: 8KiB}\n",
        "MM203 7:33",
        "'a' overlaps 'ram' by 4 KiB [0x40000000-0x40000fff]",
        "end 'a' at 0x3fffffff or below",
    ),
    (
        BOARD + "  - {name: a, kind: mmio, base: 0, size: 4KiB}\n",
        "MM206 6:3",
        "a custom machine names no window for RAM",
        "add a region of kind ram: where RAM may be placed, lowest first",
    ),
]


@pytest.mark.parametrize(("text", "where", "message", "help_text"), CASES)
def test_contradiction(text: str, where: str, message: str, help_text: str) -> None:
    layout, findings = load(text.encode(), "f.yaml")
    assert layout is None
    found = [
        (f"{finding.code} {finding.loc.line}:{finding.loc.column}", finding.message, finding.help)
        for finding in findings
        if finding.loc
    ]
    assert [(place, words) for place, words, _ in found] == [(where, message)]
    assert found[0][2].startswith(help_text)


def test_custom_machine_without_regions_points_at_its_type() -> None:
    text = BOARD.replace("regions:\n", "")
    _, (finding,) = load(text.encode(), "f.yaml")
    assert (finding.code, str(finding.loc)) == ("MM206", "f.yaml:3:17")


def test_board_is_typed() -> None:
    kinds = {
        "rom": Kind.ROM,
        "romd": Kind.ROMD,
        "nvram": Kind.NVRAM,
        "mmio": Kind.IO,
        "io": Kind.IO,
        "doorbell": Kind.IO,
    }
    text = BOARD + RAM.replace("1GiB", "16GiB")
    for number, kind in enumerate(kinds):
        text += f"  - {{name: {kind}, kind: {kind}, base: {number}MiB, size: 1MiB}}\n"
    text += "  - {name: low, kind: pci-window, base: 2GiB, size: 2GiB}\n"
    text += "  - {name: high, kind: pci-window, base: 4GiB, size: 4GiB}\n"
    layout, findings = load(text.encode(), "f.yaml")
    assert findings == []
    assert layout is not None
    assert {region.name: region.kind for region in layout.regions} == kinds
    assert [region.name for region in layout.regions if region.doorbell] == ["doorbell"]
    assert [(window.name, window.kind) for window in layout.windows] == [
        ("low", WindowKind.PCI_MMIO32),
        ("high", WindowKind.PCI_MMIO64),
        ("ram", WindowKind.RAM_WINDOW),
    ]
    assert str(layout.regions[0].origin.loc) == "f.yaml:7:34"


def test_overlaps_past_the_ceiling_are_counted() -> None:
    text = BOARD + RAM
    text += "".join(f"  - {{name: r{n}, kind: mmio, base: 0, size: 1MiB}}\n" for n in range(40))
    layout, findings = load(text.encode(), "f.yaml")
    assert layout is None
    assert len(findings) == 101
    assert findings[-1].message == "1 more finding is not shown"


SHAPES: list[tuple[str, str]] = [
    ("memory: 4GiB\n", "MM108 'memory' is the value '4GiB' where a mapping is expected"),
    ("memory: [4GiB]\n", "MM108 'memory' is a list where a mapping is expected"),
    ("memory: {size: [4GiB]}\n", "MM108 'memory.size' is a list where a size is expected"),
    (
        "memory: {size: 4GiB, slots: {a: b}}\n",
        "MM108 'memory.slots' is a mapping where a whole number is expected",
    ),
    (
        "memory: {size: 4GiB, slots: 257}\n",
        "MM110 'memory.slots' is '257', not a whole number from 0 to 256",
    ),
    (
        "memory: {size: 4GiB}\nreserve: [host]\n",
        "MM108 'reserve' is a list where one of assigned, host is expected",
    ),
    (
        "memory: {size: 4GiB}\nhosts: [[a]]\n",
        "MM108 'hosts.0' is a list where text is expected",
    ),
    (
        f"memory: {{size: 4GiB}}\nhosts: [{'a' * 300}]\n",
        "MM108 'hosts.0' has 300 characters; 256 are the most",
    ),
    (
        "memory: {size: 4GiB}\ndevices: [{host: [a]}]\n",
        "MM108 'devices.0.host' is a list where a PCI address is expected",
    ),
    (
        'memory: {size: 4GiB}\ndevices: [{host: "a b"}]\n',
        "MM112 'a b' is neither a PCI address nor the name of a device",
    ),
    (
        'memory: {size: 4GiB}\ndevices: [{host: "0001:129:00.0"}]\n',
        "MM112 '0001:129:00.0' has bus '129'; a PCI bus is 00 to ff",
    ),
]


@pytest.mark.parametrize(("text", "said"), SHAPES)
def test_wrong_shape(text: str, said: str) -> None:
    layout, findings = load((VIRT + text).encode(), "f.yaml")
    assert layout is None
    assert [f"{finding.code} {finding.message}" for finding in findings] == [said]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schema: [1]\n", "MM108 'schema' is a list where a schema version is expected"),
        (GOOD.replace("{type: virt}", "{type: virt, options: 3}"), "MM108 'machine.options' is"),
    ],
)
def test_wrong_shape_at_the_top(text: str, said: str) -> None:
    _, findings = load(text.encode(), "f.yaml")
    assert any(f"{finding.code} {finding.message}".startswith(said) for finding in findings)
