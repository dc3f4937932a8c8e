"""The fewest arguments each driver takes in the scene."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Final

from effects.scene import Command

__all__ = ["device_cases"]

#: Arguments of ``device_add`` by driver; the first pattern that fits.
_DEVICE: Final[Sequence[tuple[str, Mapping[str, object]]]] = (
    ("*-cpu", {"socket-id": 1, "core-id": 0, "thread-id": 0}),
    ("pc-dimm", {"memdev": "m0"}),
    ("nvdimm", {"memdev": "m0"}),
    ("virtio-mem-pci", {"memdev": "m0", "bus": "slot0", "requested-size": 128 << 20}),
    ("virtio-pmem-pci", {"memdev": "m0", "bus": "slot0"}),
    ("sp-mem", {"memdev": "m0"}),
    ("ivshmem-plain", {"memdev": "s0"}),
    ("ivshmem-doorbell", {"chardev": "c1"}),
    ("cxl-type3", {"volatile-memdev": "m0", "sn": 1}),
    ("virtio-blk*", {"drive": "b0"}),
    ("virtio-crypto-pci", {"cryptodev": "cry0"}),
    ("virtio-sound*", {"audiodev": "a0"}),
    ("[Aa][Cc]97", {"audiodev": "a0"}),
    ("[Ee][Ss]1370", {"audiodev": "a0"}),
    ("usb-audio", {"audiodev": "a0"}),
    ("virtio-9p*", {"fsdev": "fs0", "mount_tag": "t"}),
    ("scsi-hd", {"drive": "b0", "bus": "scsi0.0"}),
    ("scsi-cd", {"bus": "scsi0.0"}),
    ("scsi-block", {"drive": "b0", "bus": "scsi0.0"}),
    ("scsi-generic", {"drive": "b0", "bus": "scsi0.0"}),
    ("usb-storage", {"drive": "b0"}),
    ("usb-serial", {"chardev": "c1"}),
    ("usb-redir", {"chardev": "c1"}),
    ("usb-braille", {"chardev": "c1"}),
    ("usb-mtp", {"rootdir": "/"}),
    ("ccid-card-passthru", {"chardev": "c1"}),
    ("virtconsole", {"chardev": "c1"}),
    ("virtserialport", {"chardev": "c1", "nr": 3}),
    ("nvme-ns", {"drive": "b0", "bus": "nvme0", "nsid": 1}),
    ("nvme", {"serial": "2"}),
    ("pci-serial*", {"chardev": "c1"}),
    ("pci-ipmi*", {"bmc": "bmc0"}),
    ("ctucan_pci", {"canbus0": "can0"}),
    ("kvaser_pci", {"canbus": "can0"}),
    ("mioe3680_pci", {"canbus1": "can0"}),
    ("pcm3680_pci", {"canbus1": "can0"}),
    ("pxb*", {"bus_nr": 32, "bus": "pcie.0"}),
    ("vhost-user-fs-*", {"chardev": "vu0", "tag": "t"}),
    ("vhost-user-test-device-pci", {"chardev": "vu0", "virtio-id": 4}),
    ("vhost-user-*", {"chardev": "vu0"}),
    ("vhost-vdpa-device*", {"vhostdev": "/dev/vhost-vdpa-0"}),
    ("vhost-vsock-*", {"guest-cid": 3}),
    ("vfio-pci*", {"sysfsdev": "sys/0000:01:00.0"}),
    ("vfio-*", {"sysfsdev": "sys/0000:01:00.0"}),
    ("ufs", {"serial": "1"}),
    ("ufs-lu", {"drive": "b0", "lun": 1}),
    ("pcie-root-port", {"chassis": 9}),
    ("ioh3420", {"chassis": 9}),
    ("cxl-rp", {"chassis": 9}),
    ("pci-bridge*", {"chassis_nr": 9}),
    ("xio3130-downstream", {"chassis": 9, "port": 1}),
    ("rocker", {"name": "r"}),
    ("ipmi-bmc-extern", {"chardev": "c1"}),
    ("loader", {"file": "raw", "addr": 0, "force-raw": True}),
    ("guest-loader", {"addr": 0, "kernel": "raw"}),
    ("virtio-input-host-pci", {"evdev": "/dev/input/event0"}),
    ("u2f-passthru", {"hidraw": "/dev/hidraw0"}),
    ("sd-card", {"drive": "b0"}),
    ("x-pci-proxy-dev", {"fd": "1"}),
    ("vfio-user-pci", {"socket": {"type": "unix", "path": "nobody"}}),
)
#: More arguments, whose effect is another: driver pattern, arguments.
_DEVICE_MORE: Final[Sequence[tuple[str, Mapping[str, object]]]] = (
    ("vfio-pci", {"iommufd": "iommufd0"}),
    ("nvme", {"pmrdev": "m0"}),
    ("nvme", {"cmb_size_mb": 2}),
    ("pci-testdev", {"membar": 2 << 20, "membar-backed": True}),
    ("virtio-blk-pci", {"romfile": "rom"}),
    ("virtio-net-pci", {"romfile": ""}),
    ("virtio-gpu-pci", {"hostmem": 256 << 20}),
)
#: A device that must be there first. None of them is in every scene: QEMU 11.1 does not survive
#: saving the state of an nvme that no guest has used.
_DEVICE_BEFORE: Final[Mapping[str, Mapping[str, object]]] = {
    "nvme-ns": {"driver": "nvme", "id": "nvme0", "serial": "1", "bus": "slot0"},
    "ufs-lu": {"driver": "ufs", "id": "ufs0", "serial": "1", "bus": "slot0"},
}
#: Where a PCI device goes: the first that takes it.
_BUSES: Final[Sequence[Mapping[str, object]]] = (
    {"bus": "slot0"},
    {"bus": "bridge0", "addr": "1"},
    {},
)


def device_cases(
    driver: str, *, pci: bool
) -> Iterator[tuple[str, Sequence[Command], list[dict[str, object]]]]:
    """Yield a name, what comes in front, and arguments, of which the first QEMU takes count."""
    first = _DEVICE_BEFORE.get(driver)
    before = [("device_add", first)] if first else []
    fewest = next((given for known, given in _DEVICE if fnmatchcase(driver, known)), {})
    yield driver, before, _choices(driver, fewest, pci=pci)
    for known, given in _DEVICE_MORE:
        if known == driver:
            if "iommufd" in given:
                before = [*before, ("object-add", {"qom-type": "iommufd", "id": "iommufd0"})]
            told = ",".join([driver, *(f"{key}={value}" for key, value in given.items())])
            yield told, before, _choices(driver, {**fewest, **given}, pci=pci)


def _choices(driver: str, arguments: Mapping[str, object], *, pci: bool) -> list[dict[str, object]]:
    buses = _BUSES if pci and "bus" not in arguments else ({},)
    return [{"driver": driver, "id": "new", **arguments, **bus} for bus in buses]
