"""The fields of a layout file, version 1: what the loader reads and the JSON Schema describes."""

from __future__ import annotations

from typing import Any

from planner.guest.kernel import Onlines, Pieces
from planner.guest.presets import names
from planner.machine.device_memory import MAX_SLOTS
from planner.machine.family import LAYOUT_MACHINES
from planner.text.fields import Field, Items, Record, Words, json_schema
from planner.text.values import Address, Choice, Count, Device, Size, Text, Version

__all__ = ["KINDS", "LAYOUT", "PAGES", "SCHEMA_ID", "layout_schema"]

#: The `$id` of the schema, and its file beside the layouts, as their modelines name it.
SCHEMA_ID = "layout-v1.json"

#: Word in a layout → what it is. ``mmio`` and ``io`` are one kind.
KINDS = {
    "ram": "a window RAM may be placed in",
    "rom": "read-only memory backed by host memory (VFIO maps it)",
    "romd": "flash that is read as memory and written as a device (VFIO does not map it)",
    "nvram": "persistent memory (VFIO maps it)",
    "mmio": "device registers",
    "io": "device registers",
    "doorbell": "the machine's own MSI doorbell",
    "pci-window": "a window BARs are placed in; 32-bit when it ends below 4 GiB",
}

#: A guest's page sizes: word → bytes.
PAGES = {"4KiB": 4 << 10, "16KiB": 16 << 10, "64KiB": 64 << 10}

_NAME = r"[A-Za-z0-9][A-Za-z0-9_.+-]*"
_NAME_SAYS = "a name of letters, digits, '-', '_', '.' and '+' that starts with a letter or digit"

_MACHINE = Record(
    "machine",
    (
        Field("type", Choice(LAYOUT_MACHINES), "machine type", required=True, example="virt"),
        Field(
            "version",
            Text(r"[0-9]{1,3}\.[0-9]{1,3}", "a QEMU version of two numbers, as in 7.2"),
            "QEMU version of the machine type",
            default="the newest in the tables",
            example='"7.2"',
        ),
        Field("cpu", Text(), "QEMU's -cpu text", default="the machine's own", example="max"),
        Field(
            "options",
            Words(),
            "-M options as QEMU spells them, and device properties as -global does",
            example='{gic-version: "3"}',
        ),
        Field(
            "address-bits",
            Count(32, 64),
            "guest physical address bits (KVM's IPA limit, phys-bits)",
            default="the CPU's own",
            example="48",
        ),
    ),
)

_MEMORY = Record(
    "memory",
    (
        Field("size", Size(), "memory at launch", required=True, example="4GiB"),
        Field("max", Size(), "ceiling for memory plugged later", default="size", example="16GiB"),
        Field(
            "slots", Count(0, MAX_SLOTS), "memory slots", default="what the plan needs", example="8"
        ),
        Field(
            "block",
            Size(),
            "size and alignment of a piece the guest can bring online",
            default="the guest's own rule",
            example="128MiB",
        ),
        Field(
            "boot-min",
            Size(),
            "least memory that firmware and guest boot with",
            default="256MiB, and 1/64 of what is in pieces",
            example="1GiB",
        ),
        Field(
            "pieces",
            Choice(tuple(Pieces)),
            "form of memory that is no boot memory",
            default="auto: what the guest takes, else virtio-mem on Arm, DIMMs on x86",
            example="virtio-mem",
        ),
    ),
)

_GUEST = Record(
    "guest",
    (
        Field("preset", Choice(names()), "kernel of a distribution", example="debian-13"),
        Field(
            "acpi-hotplug",
            Choice(("yes", "no")),
            "whether it takes DIMMs: CONFIG_ACPI_HOTPLUG_MEMORY",
            default="the preset's",
        ),
        Field(
            "virtio-mem",
            Choice(("yes", "no")),
            "whether it has the driver: CONFIG_VIRTIO_MEM",
            default="the preset's",
        ),
        Field(
            "page-size",
            Choice(tuple(PAGES)),
            "its kernel's pages; on Arm 64KiB make memory blocks of 512MiB",
            default="the preset's",
        ),
        Field(
            "onlines",
            Choice(tuple(Onlines)),
            "who brings plugged memory online",
            default="the preset's",
            example="udev",
        ),
    ),
    short="preset",
)

_DOORBELL = Record(
    "doorbell",
    (
        Field(
            "prefer",
            Address(),
            "where the doorbell should be",
            default="0xfee00000",
            example="0xfee00000",
        ),
        Field("pin", Address(), "where the doorbell must be; RAM goes around it"),
        Field("size", Size(), "size of its window", default="what the hosts need", example="1MiB"),
    ),
)

_DEVICE = Record(
    "device",
    (
        Field(
            "host",
            Device(),
            "PCI address or platform device name on the host",
            required=True,
            example='"0000:29:00.0"',
        ),
    ),
)

_REGION = Record(
    "region",
    (
        Field("name", Text(_NAME, _NAME_SAYS), "unique name", required=True, example="flash"),
        Field("kind", Choice(tuple(KINDS)), "what answers there", required=True, example="mmio"),
        Field("base", Address(), "first byte", required=True, example="0x10000000"),
        Field("size", Size(), "size", required=True, example="16MiB"),
    ),
)

_SILENCE = Record(
    "silencer",
    (
        Field("code", Text("MM[0-9]{3}", "a finding code, as in MM406"), "finding", required=True),
        Field("reason", Text(), "why it may be ignored here", required=True),
    ),
)

#: The whole file.
LAYOUT = Record(
    "layout",
    (
        Field("schema", Version((1,)), "version of the layout schema", required=True, example="1"),
        Field("name", Text(_NAME, _NAME_SAYS), "the guest's name", required=True, example="guest"),
        Field("machine", _MACHINE, "the machine", required=True, example="{type: virt}"),
        Field("memory", _MEMORY, "its memory", required=True, example="{size: 4GiB}"),
        Field("guest", _GUEST, "its kernel, as far as it is known", example="debian-13"),
        Field("doorbell", _DOORBELL, "where MSIs are written"),
        Field(
            "reserve",
            Choice(("assigned", "host")),
            "which host regions bind: of the devices named here, or of every group",
            default="host",
            example="host",
        ),
        Field("devices", Items(_DEVICE), "host devices assigned at launch"),
        Field(
            "hotplug",
            Record("hotplug", (Field("devices", Items(Device()), "host devices to fit later"),)),
            "what must still fit when it is plugged later",
        ),
        Field("hosts", Items(Text()), "host profiles to plan against, relative to this file"),
        Field("regions", Items(_REGION), "machine type custom: what is fixed, and RAM windows"),
        Field("silence", Items(_SILENCE), "findings not to show"),
    ),
)


def layout_schema() -> dict[str, Any]:
    """Return the JSON Schema of a layout, draft-07."""
    return json_schema(LAYOUT, "guestmap layout, version 1", SCHEMA_ID)
