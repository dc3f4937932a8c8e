"""What a guest's kernel makes of memory: blocks, forms of pieces, boot memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.guest.kernel import (
    BASE,
    ONLINE,
    UNKNOWN,
    Guest,
    Onlines,
    Pieces,
    boot_min,
    memory_block,
    tables,
)
from planner.guest.presets import PRESETS, arches, find_preset, names
from planner.judge.kernel import judge_blocks, judge_boot, judge_floor, judge_pieces
from planner.machine.family import for_type
from planner.machine.request import MachineRequest, MemoryDevice
from planner.region import GuestMap
from planner.span import GIB, MIB, TIB

ARM = ("virtio-mem-pci", "pc-dimm")
X86 = ARM[::-1]


def built(kind: str, boot: int, *pieces: tuple[int, int], **more: str) -> GuestMap:
    devices = tuple(
        MemoryDevice(f"d{number}", size, address, memdev=f"m{number}")
        for number, (address, size) in enumerate(pieces)
    )
    request = MachineRequest(kind, "7.2", more.get("cpu", "max"), boot, firmware=kind == "virt")
    total = boot + sum(size for _, size in pieces)
    request = replace(request, max_bytes=int(more.get("top", 2 * total)), slots=8, devices=devices)
    return for_type(kind).build(request)


def as_read(guest: GuestMap) -> GuestMap:
    """Return the map as a QEMU tells it, which does not say what boot memory is."""
    return replace(guest, regions=tuple(replace(r, boot=False) for r in guest.regions))


@pytest.mark.parametrize(
    ("guest", "page", "block"),
    [
        (built("virt", 4 * GIB), None, 128 * MIB),
        (built("virt", 4 * GIB), 16 << 10, 128 * MIB),
        (built("virt", 4 * GIB), 64 << 10, 512 * MIB),
        (built("virt", 80 * GIB, cpu="max"), None, 128 * MIB),
        (built("q35", 4 * GIB), None, 128 * MIB),
        (built("q35", 62 * GIB, cpu="max,phys-bits=46"), None, 2 * GIB),
        (built("q35", 62 * GIB + 256 * MIB, cpu="max,phys-bits=46"), None, 256 * MIB),
        # Beside AMD's hole boot memory ends above 1 TiB.
        (built("q35", 4 * GIB, cpu="EPYC,phys-bits=44", top=str(2 * TIB)), None, 2 * GIB),
    ],
)
def test_the_block_is_told_from_the_map_whoever_made_it(
    guest: GuestMap, page: int | None, block: int
) -> None:
    assert memory_block(guest, page) == block
    assert memory_block(as_read(guest), page) == block


def test_a_piece_off_the_blocks_is_lost() -> None:
    base = TIB + 2 * GIB
    guest = built("q35", 4 * GIB, (base, 256 * MIB), cpu="EPYC,phys-bits=44", top=str(2 * TIB))
    (found,) = judge_blocks(as_read(guest), UNKNOWN)
    assert (found.code, found.severity) == ("MM209", "warning")
    assert "of 256 MiB does not lie on the guest's memory blocks of 2 GiB: no part" in found.message
    assert found.help == "make its size and its address multiples of 2 GiB"
    arm = built("virt", 4 * GIB, (8 * GIB, 768 * MIB), cpu="max")
    assert judge_blocks(arm, UNKNOWN) == []
    (found,) = judge_blocks(arm, Guest(page_bytes=64 << 10))
    assert "only [0x200000000-0x21fffffff] is" in found.message


@pytest.mark.parametrize(
    ("boot", "piece", "level"),
    [
        # Booted with Linux 6.12: 16 GiB beside 512 MiB work, 32 GiB panic.
        (512 * MIB, 16 * GIB, None),
        (512 * MIB, 32 * GIB, "error"),
        (512 * MIB, 20 * GIB, "warning"),
    ],
)
def test_tables_come_out_of_boot_memory(boot: int, piece: int, level: str | None) -> None:
    guest = built("q35", boot, (8 * GIB, piece), cpu="max,phys-bits=46")
    found = judge_boot(as_read(guest))
    assert [each.severity for each in found] == ([level] if level else [])
    if level == "error":
        assert found[0].code == "MM210"
        assert "boot memory is 512 MiB" in found[0].message
        assert "32 GiB of pieces in 512 MiB of it: 608 MiB are the least" in found[0].message


@pytest.mark.parametrize("total", [64 * MIB, 256 * MIB, 300 * MIB, 4 * GIB, 100 * GIB, TIB])
def test_the_least_boot_memory_is_enough_and_less_is_not(total: int) -> None:
    least = boot_min(total)
    assert least <= total
    if least < total:
        assert least >= BASE + tables(total - least)
        assert least - MIB < BASE + tables(total - least + MIB)


def test_firmware_has_a_floor() -> None:
    guest = built("virt", 224 * MIB)
    assert [f.message for f in judge_floor(guest, 240 * MIB, 0)] == [
        "boot memory is 224 MiB in all, and firmware and kernel need 240 MiB there"
    ]
    assert judge_floor(built("virt", 240 * MIB), 240 * MIB, 0) == []


@pytest.mark.parametrize(
    ("kernel", "order", "driver"),
    [
        (UNKNOWN, ARM, "virtio-mem-pci"),
        (UNKNOWN, X86, "pc-dimm"),
        (Guest(acpi_hotplug=True), ARM, "pc-dimm"),
        (Guest(acpi_hotplug=True, virtio_mem=True), ARM, "virtio-mem-pci"),
        (Guest(acpi_hotplug=True, virtio_mem=False), ARM, "pc-dimm"),
        (Guest(acpi_hotplug=False), X86, "virtio-mem-pci"),
        (Guest(acpi_hotplug=False, virtio_mem=False), X86, ""),
    ],
)
def test_pieces_have_the_form_the_guest_takes(
    kernel: Guest, order: tuple[str, ...], driver: str
) -> None:
    assert kernel.piece_driver(Pieces.AUTO, order) == driver
    assert kernel.piece_driver(Pieces.DIMM, order) == "pc-dimm"
    assert kernel.piece_driver(Pieces.NONE, order) == ""


PIECE = [MemoryDevice("d0", GIB, 4 * GIB, "virtio-mem-pci")]


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        (UNKNOWN, "note the driver virtio_mem (CONFIG_VIRTIO_MEM), and " + ONLINE),
        (Guest("a", virtio_mem=True, onlines=Onlines.ITSELF), ""),
        (Guest("a", virtio_mem=True, onlines=Onlines.UDEV), ""),
        (Guest("a", virtio_mem=True, onlines=Onlines.NOBODY), "warning " + ONLINE),
        (Guest("a", virtio_mem=True, onlines=Onlines.PARAMETER), "note " + ONLINE),
        (Guest("a", virtio_mem=True, onlines=Onlines.AGENT), "note its agent told to"),
        (
            Guest("a", virtio_mem=True, onlines=Onlines.ITSELF, since="b 2"),
            "note a release from b 2 on",
        ),
    ],
)
def test_a_plan_says_what_the_guest_needs(kernel: Guest, said: str) -> None:
    found = judge_pieces(PIECE, kernel)
    told = [f"{f.severity} {f.message.partition('needs ')[2]}" for f in found]
    assert len(told) == bool(said)
    assert all(each.startswith(said) for each in told)
    if ONLINE in said:
        assert found[0].notes == (ONLINE,)


def test_a_guest_without_the_driver_cannot_use_its_pieces() -> None:
    (found,) = judge_pieces(PIECE, Guest("rhel-8", virtio_mem=False))
    assert (found.code, found.severity) == ("MM213", "error")
    assert found.message == (
        "rhel-8 cannot use 1 GiB in pieces (virtio-mem-pci): its kernel lacks the driver"
        " virtio_mem (CONFIG_VIRTIO_MEM)"
    )


def test_presets_go_by_architecture() -> None:
    assert find_preset("rhel-8", "aarch64") == Guest("rhel-8", True, False, 64 << 10, Onlines.UDEV)
    arm = find_preset("debian-12-arm64", "")
    assert arm
    assert (arm.acpi_hotplug, arm.onlines) == (False, Onlines.NOBODY)
    assert find_preset("debian-12-arm64", "x86_64") is None
    assert find_preset("debian-12", "") is None
    assert find_preset("no-such", "aarch64") is None
    assert arches("rhel-8") == ("x86_64", "aarch64")
    assert {"debian-13-16k-arm64", "alpine", "fedora-x86_64"} <= set(names())
    for name in names():
        assert all(find_preset(name, arch) for arch in arches(name)), name
    assert len(PRESETS) == len({*PRESETS})
