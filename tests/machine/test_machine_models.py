"""The machine tables without a QEMU: shapes, levers and refusals. That the maps are QEMU's own is
test_fidelity's to show.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from planner.guest.kernel import memory_block
from planner.machine.device_memory import place_devices
from planner.machine.family import for_type
from planner.machine.flatview import Piece, flatten
from planner.machine.request import (
    Backend,
    MachineRefusedError,
    MachineRequest,
    MemoryDevice,
    NotModelledError,
)
from planner.region import GuestMap, Kind, Origin, WindowKind
from planner.span import GIB, MIB, TIB, Span, SpanSet

HT = SpanSet([Span(0xFD_0000_0000, TIB)])
MSI = SpanSet([Span.inclusive(0xFEE0_0000, 0xFEEF_FFFF)])


def virt(boot: int = 4 * GIB, **more: object) -> MachineRequest:
    base = MachineRequest("virt", "7.2", "max", boot)
    return replace(base, **more)  # type: ignore[arg-type]


def q35(boot: int = 4 * GIB, **more: object) -> MachineRequest:
    base = MachineRequest("q35", "7.2", "EPYC", boot)
    return replace(base, **more)  # type: ignore[arg-type]


def build(request: MachineRequest) -> GuestMap:
    return for_type(request.type).build(request)


def ram(request: MachineRequest) -> list[str]:
    return [str(region.span) for region in build(request).of_kind(Kind.RAM)]


def test_an_unknown_machine_says_what_is_known() -> None:
    with pytest.raises(NotModelledError, match="which know pc, q35, virt"):
        for_type("sbsa-ref")


def test_virt_memory_and_windows() -> None:
    found = build(virt(max_bytes=16 * GIB, slots=8))
    assert [str(region.span) for region in found.of_kind(Kind.RAM)] == ["0x40000000-0x13fffffff"]
    assert [(window.kind, str(window.span)) for window in found.windows] == [
        (WindowKind.PCI_MMIO32, "0x10000000-0x3efeffff"),
        (WindowKind.DEVICE_MEMORY, "0x140000000-0x63fffffff"),
        (WindowKind.PCI_MMIO64, "0x8000000000-0xffffffffff"),
    ]
    assert found.address_bits == 52


def test_numa_backends_are_regions_of_their_own() -> None:
    request = q35(boot_backends=(Backend("a", 3 * GIB), Backend("b", GIB)))
    names = [region.name for region in build(request).boot_ram]
    assert names == ["a@0x0", "a@0x100000", "a@0x100000000", "b"]


def test_backends_must_add_up() -> None:
    with pytest.raises(MachineRefusedError, match="should equal RAM size"):
        build(virt(boot_backends=(Backend("a", GIB), Backend("b", GIB))))
    with pytest.raises(MachineRefusedError, match="does not match the size of the memory backend"):
        build(virt(boot_backends=(Backend("a", GIB),)))


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (virt(slots=1), "slots specified but no max-size"),
        (virt(max_bytes=GIB), "must be at least the initial memory size (0x100000000)"),
        (virt(max_bytes=4 * GIB, slots=1), "is equal to the initial memory size"),
        (virt(max_bytes=8 * GIB, slots=257), "unsupported number of memory slots: 257"),
        (virt(options={"highmem": "off"}), "Addressing limited to 32 bits, but memory exceeds it"),
        (virt(cpu="cortex-a57", boot_bytes=17 * TIB), "Addressing limited to 44 bits"),
        (virt(max_bytes=6 << 50, slots=1), "Addressing limited to 52 bits"),
        (virt(cpu="host"), "The 'host' CPU type can only be used with KVM"),
        (virt(cpus=9), "exceeds max CPUs supported by machine 'mach-virt' (8)"),
        (virt(options={"gic-version": "4"}), "gic-version=4 requires virtualization enabled"),
        (virt(options={"gic-version": "host"}), "gic-version=host requires KVM"),
        (
            virt(options={"compact-highmem": "on"}),
            "Property 'virt-7.2-machine.compact-highmem' not found",
        ),
        (virt(options={"iommu": "intel"}), "Invalid iommu value"),
        (virt(options={"its": "maybe"}, qemu="11.1.0"), "Parameter 'its' expects 'on' or 'off'"),
        (virt(qemu="11.1.2", options={"msi": "x"}), "Invalid msi value 'x'"),
        (virt(qemu="11.1.2", options={"msi": "its"}), "GICv2 + ITS is an invalid configuration."),
        (virt(qemu="10.0.2", options={"gic-version": "4"}), "tcg does not support GICv4 emulation"),
        (virt(qemu="10.0.2", options={"highmem-mmio-size": "3G"}), "is not a power of 2"),
        (
            virt(qemu="10.0.2", options={"highmem-mmio-size": "1G"}),
            "cannot be set to a lower value",
        ),
        (
            virt(qemu="7.2", version="8.0"),
            "unsupported machine type 'virt' version 8.0 in QEMU 7.2",
        ),
        (q35(options={"max-ram-below-4g": "5G"}), "expects size less than or equal to 4G"),
        (q35(cpu="host"), "CPU model 'host' requires KVM or HVF"),
        (q35(cpu="qemu64,phys-bits=31"), "phys-bits should be between 32 and 52"),
        (q35(cpu="qemu64,phys-bits=x"), "Parameter 'phys-bits' expects uint32_t, got 'x'"),
        (q35(cpu="qemu32,phys-bits=36"), "phys-bits is not user-configurable in 32 bit"),
        (
            q35(cpu="qemu64,phys-bits=31", qemu="11.1"),
            "phys-bits should be at least 32 (but is 31)",
        ),
        (q35(2 * TIB), "Address space limit 0xffffffffff < "),
        (q35(max_bytes=8 * GIB, slots=257), "unsupported amount of memory slots: 257"),
        (q35(max_bytes=8 * GIB + 1), "maximum memory size must by aligned to multiple of 4096"),
        (q35(firmware=True, firmware_bytes=1000), "could not load PC BIOS"),
        (q35(flash_bytes=(9 << 20,)), "pflash0 has an invalid size of 9437184 bytes"),
        (q35(cpu="486", iommu="amd-iommu"), "MSI is not supported by interrupt controller"),
    ],
)
def test_refusals_in_qemus_words(request_: MachineRequest, why: str) -> None:
    with pytest.raises(MachineRefusedError) as caught:
        build(request_)
    assert why in caught.value.message


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (virt(version="2.6"), "know virt from version 2.8 on, not 2.6"),
        (virt(version="7.3"), "not 7.3"),
        (virt(qemu="6.0"), "know QEMU 7.2 to 11.1, not 6.0"),
        (virt(qemu="new"), "'new' is not a QEMU version"),
        (
            virt(options={"frobnicate": "on"}),
            "machine option 'frobnicate' is not in the machine tables",
        ),
        (virt(globals={"pc-dimm.x": "1"}), "-global pc-dimm.x is not in the machine tables"),
        (virt(cpu="cortex-a710"), "CPU 'cortex-a710' on QEMU 7.2 is not in the machine tables"),
        (virt(cpu="max,aarch64=off"), "aarch64=off is not in the machine tables"),
        (virt(accel="kvm"), "under KVM the map is limited by the host's IPA size"),
        (virt(accel="kvm", address_bits=40), "under KVM the GIC version is the host's"),
        (virt(options={"gic-version": "x-5"}, qemu="11.1"), "gic-version=x-5"),
        (virt(options={"virtio-mmio-transports": "99"}, qemu="11.1"), "virtio-mmio-transports=99"),
        (virt(iommu="intel-iommu"), "-device intel-iommu on virt"),
        (q35(cpu="Z80"), "CPU 'Z80' is not in the machine tables"),
        (q35(accel="kvm"), "under KVM the guest CPU has the host's vendor"),
        (q35(accel="kvm", cpu="host,vendor=GenuineIntel"), "the host's physical address bits"),
        (q35(options={"cxl": "on"}), "CXL and SGX memory"),
        (q35(firmware=True), "the size of the -bios image decides the map"),
        (q35(flash_bytes=(None,)), "the size of a pflash image decides the map"),
        (q35(max_cpus=300), "300 CPUs are not in the machine tables"),
        (q35(version="2.4"), "know q35 from version 2.5 on"),
        (q35(globals={"q35-pcihost.pci-hole64-size": "0"}), "a 64-bit PCI hole of 0x0 bytes"),
        (q35(cpu="qemu64,phys-bits=64", qemu="11.1"), "phys-bits=64 is past a 64-bit address"),
        (
            MachineRequest("pc", "7.2", "", 4095 * MIB, options={"max-ram-below-4g": "4G"}),
            "covers the interrupt controllers",
        ),
    ],
)
def test_what_the_tables_do_not_know(request_: MachineRequest, why: str) -> None:
    with pytest.raises(NotModelledError) as caught:
        build(request_)
    assert why in str(caught.value)


def test_kvm_on_virt_takes_the_hosts_width() -> None:
    request = virt(accel="kvm", cpu="host", address_bits=40, options={"gic-version": "3"})
    found = build(request)
    assert found.address_bits == 40
    assert found.window(WindowKind.PCI_MMIO64) is not None


def test_kvm_on_q35_takes_the_hosts_width() -> None:
    cpu = "host,vendor=AuthenticAMD,host-phys-bits-limit=46"
    assert build(q35(accel="kvm", cpu=cpu, address_bits=48)).address_bits == 46


def test_a_layouts_address_bits_cap_the_cpus_own() -> None:
    assert build(virt(address_bits=40)).address_bits == 40
    assert build(virt(cpu="cortex-a53", address_bits=48)).address_bits == 40


def test_an_amd_guest_near_one_tib_is_moved_above_it() -> None:
    big = q35(1012 * GIB, cpu="EPYC,phys-bits=48")
    assert ram(big)[-1] == "0x10000000000-0x1fc7fffffff"
    assert ram(replace(big, cpu="Haswell,phys-bits=48"))[-1] == "0x100000000-0xfd7fffffff"
    assert ram(replace(big, version="7.0"))[-1] == "0x100000000-0xfd7fffffff"


def test_the_first_variant_is_the_request_itself() -> None:
    for request in (virt(), q35()):
        assert next(iter(for_type(request.type).variants(request, MSI | HT))) == request


def test_virts_one_lever_is_highmem() -> None:
    request = virt(GIB, options={"highmem": "off", "its": "on"})
    assert [item.options for item in for_type("virt").variants(request, MSI)] == [
        {"highmem": "off", "its": "on"},
        {"its": "on"},
    ]
    assert list(for_type("virt").variants(virt(), MSI)) == [virt()]


def test_q35_splits_below_each_hole_and_moves_above_one_tib() -> None:
    low = SpanSet([Span.sized(0x6000_0000, MIB), Span.sized(0x3000_0800, MIB)])
    found = list(for_type("q35").variants(q35(), low | HT))
    splits = [item.options.get("max-ram-below-4g") for item in found]
    assert splits == [None, "1610612736", "805306368", None, "1610612736", "805306368"]
    key = "q35-pcihost.pci-hole64-size"
    assert [item.globals.get(key) for item in found] == [None] * 3 + ["1T"] * 3
    moved = found[3]
    assert moved.cpu == "EPYC,phys-bits=42"
    assert ram(moved)[-1] == "0x10000000000-0x1007fffffff"


@pytest.mark.parametrize(
    "request_",
    [
        q35(cpu="Haswell"),
        q35(version="7.0"),
        q35(cpu="nonsense"),
        q35(address_bits=40),
        q35(globals={"q35-pcihost.pci-hole64-size": "64G"}),
    ],
)
def test_what_cannot_be_moved_above_one_tib(request_: MachineRequest) -> None:
    assert list(for_type("q35").variants(request_, HT)) == [request_]


def test_phys_bits_that_were_asked_for_stay() -> None:
    request = q35(cpu="EPYC,phys-bits=48")
    assert [item.cpu for item in for_type("q35").variants(request, HT)] == [request.cpu] * 2


@pytest.mark.parametrize(
    ("request_", "block"),
    [
        (virt(), 128 * MIB),
        (q35(), 128 * MIB),
        (q35(64 * GIB), 2 * GIB),
        (q35(64 * GIB + 512 * MIB), 512 * MIB),
        (q35(64 * GIB + 128 * MIB), 128 * MIB),
    ],
)
def test_the_guests_memory_block(request_: MachineRequest, block: int) -> None:
    assert memory_block(for_type(request_.type).build(request_)) == block


@pytest.mark.parametrize(
    ("version", "cpu", "more", "refused"),
    [
        # Machine types up to 8.1 never check a 32-bit CPU on QEMU 8.2 and later.
        ("8.1", "qemu32", {"max_bytes": TIB, "slots": 1}, False),
        ("8.2", "qemu32", {"max_bytes": TIB, "slots": 1}, True),
        ("8.2", "486", {}, True),
        ("8.2", "qemu32", {}, False),
    ],
)
def test_32_bit_cpus_are_checked_by_newer_machines(
    version: str, cpu: str, more: dict[str, int], refused: bool
) -> None:
    request = q35(8 * GIB, version=version, qemu="10.0.2", cpu=cpu, **more)
    if not refused:
        assert build(request).machine == "q35"
        return
    with pytest.raises(MachineRefusedError, match="phys-bits too low"):
        build(request)


def test_old_machines_show_no_64_bit_hole() -> None:
    assert build(q35(version="2.10")).window(WindowKind.PCI_MMIO64) is None


def test_iommu_registers_are_in_the_map_of_q35_alone() -> None:
    assert "intel_iommu" in {region.name for region in build(q35(iommu="intel-iommu")).regions}
    with pytest.raises(MachineRefusedError, match="expects a dynamic sysbus device type"):
        build(MachineRequest("pc", "7.2", "", GIB, iommu="amd-iommu"))


def test_virt_with_many_cpus_uses_the_high_redistributors() -> None:
    options = {"gic-version": "3", "iommu": "smmuv3", "nvdimm": "on"}
    names = {
        region.name: str(region.span) for region in build(virt(cpus=130, options=options)).regions
    }
    assert names["gicv3_redist_region[0]"] == "0x80a0000-0x8ffffff"
    assert names["gicv3_redist_region[1]"] == "0x4000000000-0x40000dffff"
    assert {"arm-smmuv3", "nvdimm-acpi-io", "control", "translation"} <= names.keys()


def test_virts_firmware_brings_acpi() -> None:
    names = {
        region.name for region in build(virt(firmware=True, max_bytes=8 * GIB, slots=1)).regions
    }
    assert {"acpi-ged", "acpi-mem-hotplug"} <= names
    assert "pl061" not in names
    without = build(virt(firmware=True, options={"acpi": "off", "virtualization": "on"})).regions
    assert {"pl061", "gic_viface", "gic_vcpu"} <= {region.name for region in without}


def test_old_virt_machines_show_no_pci_windows_in_the_map_itself() -> None:
    found = build(virt(version="6.0", options={"gic-version": "3"}))
    assert not [region for region in found.regions if region.name.startswith("gpex")]
    assert found.window(WindowKind.PCI_MMIO64) is not None


def test_flash_replaces_the_bios() -> None:
    names = {region.name: str(region.span) for region in build(q35(flash_bytes=(4 * MIB,))).regions}
    assert names["system.flash0"] == "0xffc00000-0xffffffff"
    assert names["isa-bios"] == "0xe0000-0xfffff"
    newer = build(q35(version="9.1", qemu="10.0.2", flash_bytes=(4 * MIB,)))
    assert "system.flash0@0xe0000" in {region.name for region in newer.regions}


def place(*devices: MemoryDevice, slots: int = 8) -> list[str]:
    window = Span.sized(4 * GIB, 8 * GIB)
    placed = place_devices(devices, window, 4 * GIB, slots, lambda _device: None)
    return [f"{device.slot}:{device.addr:#x}" for device in placed]


def dimm(size: int = GIB, **more: object) -> MemoryDevice:
    return replace(MemoryDevice("d", size), **more)  # type: ignore[arg-type]


def test_devices_go_to_the_first_gap_that_fits() -> None:
    assert place(dimm(addr=5 * GIB), dimm(2 * GIB), dimm(512 * MIB)) == [
        "0:0x140000000",
        "1:0x180000000",
        "2:0x100000000",
    ]


def test_slots_are_taken_lowest_first_and_virtio_mem_takes_none() -> None:
    assert place(dimm(slot=1), dimm(driver="virtio-mem-pci"), dimm(), dimm()) == [
        "1:0x100000000",
        "None:0x140000000",
        "0:0x180000000",
        "2:0x1c0000000",
    ]


@pytest.mark.parametrize(
    ("devices", "why"),
    [
        (
            [dimm(5 * GIB)],
            "not enough space, currently 0x0 in use of total space for memory devices",
        ),
        ([dimm(GIB + 4096)], "backend memory size must be multiple of 0x200000"),
        ([dimm(addr=4 * GIB + 4096)], "address must be aligned to 0x200000 bytes"),
        (
            [dimm(addr=GIB)],
            "[0x40000000:0x40000000], usable range for memory devices [0x100000000:0x200000000]",
        ),
        ([dimm(addr=(1 << 64) - 2 * MIB)], "can't add memory device"),
        ([dimm(), dimm(addr=4 * GIB)], "address range conflicts with memory device id='d'"),
        ([dimm(id=""), dimm(addr=4 * GIB)], "memory device id='(unnamed)'"),
        ([dimm(slot=0), dimm(slot=0)], "slot 0 is busy"),
        ([dimm(slot=8)], "invalid slot number 8, valid range is [0-7]"),
        ([dimm(MIB * 2)] * 9, "no free slots available"),
        (
            [*(dimm(512 * MIB, addr=(5096 + 1512 * at) * MIB) for at in range(5)), dimm()],
            "could not find position in guest address space",
        ),
        (
            [dimm(driver="virtio-mem-pci", size=6 * MIB, block_size=4 * MIB)],
            "memdev size has to be multiples of 'block-size' (0x400000)",
        ),
    ],
)
def test_device_refusals_in_qemus_words(devices: list[MemoryDevice], why: str) -> None:
    with pytest.raises(MachineRefusedError) as caught:
        place(*devices)
    assert why in caught.value.message


def test_devices_need_slots_and_a_window() -> None:
    with pytest.raises(MachineRefusedError, match="no slots where allocated"):
        place(dimm(), slots=0)
    with pytest.raises(MachineRefusedError, match="consider specifying the maxmem option"):
        place_devices([dimm()], None, 0, 1, lambda _device: None)
    with pytest.raises(NotModelledError, match="memory device 'sgx-epc'"):
        place(dimm(driver="sgx-epc"))


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (virt(max_bytes=8 * GIB, slots=1), "missing acpi-ged device"),
        (
            virt(max_bytes=8 * GIB, slots=1, firmware=True, options={"mte": "on"}),
            "memory hotplug is not enabled: MTE is enabled",
        ),
        (
            q35(max_bytes=8 * GIB, slots=1, options={"acpi": "off"}),
            "missing acpi device or acpi disabled",
        ),
    ],
)
def test_boards_without_dimms(request_: MachineRequest, why: str) -> None:
    with pytest.raises(MachineRefusedError) as caught:
        build(replace(request_, devices=(dimm(),)))
    assert why in caught.value.message


def test_nvdimms_must_be_asked_for() -> None:
    for board in (virt(firmware=True), q35()):
        nvdimm = dimm(driver="nvdimm")
        request = replace(board, max_bytes=8 * GIB, slots=1, devices=(nvdimm,))
        with pytest.raises(MachineRefusedError, match="nvdimm is not enabled"):
            build(request)
        found = build(replace(request, options={"nvdimm": "on"})).of_kind(Kind.NVRAM)
        assert [region.name for region in found] == ["d"]


def test_one_iommu_at_a_time_on_virt() -> None:
    assert build(virt(iommu="virtio-iommu-pci")).machine == "virt"
    with pytest.raises(MachineRefusedError, match="does not support multiple IOMMUs"):
        build(virt(iommu="virtio-iommu-pci", options={"iommu": "smmuv3"}))


def test_what_lies_on_top_wins_and_pieces_are_named_apart() -> None:
    where = Origin("test")
    found = flatten(
        [
            Piece(Span(0, 100), "ram", Kind.RAM, where),
            Piece(Span(40, 60), "io", Kind.IO, where),
            Piece(Span(50, 70), "low", Kind.ROM, where, priority=-1),
            Piece(Span(90, 110), "top", Kind.IO, where, priority=1, doorbell=True),
        ]
    )
    assert [(region.name, str(region.span)) for region in found] == [
        ("ram@0x0", "0x0-0x27"),
        ("io", "0x28-0x3b"),
        ("ram@0x3c", "0x3c-0x59"),
        ("top", "0x5a-0x6d"),
    ]
    assert found[-1].doorbell
