"""What a shadow starts with."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

__all__ = ["MACHINES", "Command", "Experiment", "prepare", "words"]

#: A QMP command and its arguments; what comes in front of an experiment, and the experiment.
Command = tuple[str, Mapping[str, object]]
Experiment = tuple[Sequence[Command], Sequence[Command]]

MACHINES: Final = {"q35": "qemu-system-x86_64", "virt": "qemu-system-aarch64"}
_MACHINE = {
    "q35": ("-M", "q35,nvdimm=on", "-smp", "1,maxcpus=4", "-device", "ipmi-bmc-sim,id=bmc0"),
    "virt": ("-M", "virt,gic-version=3", "-cpu", "cortex-a57", "-smp", "1"),
}
#: Ports in the order of their buses: what is there from the start comes first.
_COMMON = """
-accel tcg -m 256M,slots=8,maxmem=8G -bios firmware -name shadow
-object memory-backend-ram,id=m0,size=128M
-object memory-backend-ram,id=m1,size=128M
-object memory-backend-file,id=s0,size=4M,mem-path=shared,share=on
-object iothread,id=io0
-object rng-random,id=rng0,filename=/dev/urandom
-object throttle-group,id=tg0,x-iops-total=100
-object secret,id=sec0,data=letmein
-object cryptodev-backend-builtin,id=cry0
-object can-bus,id=can0
-chardev socket,id=c0,path=c0,server=on,wait=off
-chardev null,id=c1
-chardev null,id=c2
-chardev socket,id=vu0,path=vhost
-audiodev none,id=a0
-fsdev local,id=fs0,path=.,security_model=none
-chardev ringbuf,id=ring0
-netdev user,id=n0
-netdev hubport,id=hub0,hubid=0
-blockdev null-co,node-name=b0,size=67108864
-blockdev file,node-name=f0,filename=disk
-blockdev qcow2,node-name=q0,file=f0
-device pcie-root-port,id=port0,chassis=1,addr=2
-device bochs-display,id=screen,bus=port0
-device pcie-root-port,id=slot0,chassis=2,addr=3
-device pcie-root-port,id=port2,chassis=3,addr=4
-device pcie-pci-bridge,id=bridge0,bus=port2
-device qemu-xhci,id=usb0,addr=5
-device virtio-scsi-pci,id=scsi0,addr=6
-device virtio-serial-pci,id=serial0,addr=7
-device usb-ccid,id=ccid0,bus=usb0.0
-device usb-tablet,id=tablet0,bus=usb0.0
-device sdhci-pci,id=sd0,addr=9
-device virtio-mem-pci,id=vm0,memdev=m1,addr=11
-device virtio-blk-pci,id=disk0,drive=q0,addr=12
-device virtio-rng-pci,id=rngdev0,rng=rng0,addr=13
-device virtio-net-pci,id=net0,netdev=hub0,addr=14
-device scsi-cd,id=cd0,bus=scsi0.0
-device megasas,id=lsi0,addr=15
"""


def prepare(folder: Path) -> None:
    """Make the files a shadow is given."""
    (folder / "firmware").write_bytes(bytes(64 << 10))
    (folder / "raw").write_bytes(bytes(1 << 20))
    for name, size in (("raw", 1 << 20), ("pmem", 4 << 20), ("rom", 4096)):
        with (folder / name).open("wb") as file:
            file.truncate(size)
    # A ROM that says it is one: hw/pci/pci.c reads no more of it than its length.
    (folder / "rom").write_bytes(b"\x55\xaa\x08" + bytes(4093))
    (folder / "disk").write_bytes(_empty_qcow2(64 << 20))
    device = folder / "sys" / "0000:01:00.0"
    device.mkdir(parents=True)
    (folder / "sys" / "bus" / "pci").mkdir(parents=True)
    (folder / "sys" / "groups" / "5").mkdir(parents=True)
    (device / "subsystem").symlink_to(folder / "sys" / "bus" / "pci")
    (device / "iommu_group").symlink_to(folder / "sys" / "groups" / "5")
    cdev = device / "vfio-dev" / "vfio0"
    cdev.mkdir(parents=True)
    (cdev / "dev").write_text("511:0\n")


def _empty_qcow2(size: int) -> bytes:
    """Return an image without data: header, refcounts and an L1 table, in clusters of their own.

    docs/interop/qcow2.txt (QEMU 7.2), version 2.
    """
    cluster = 1 << 16
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2, 0, 0, 16, size, 0, 1, 3 * cluster, cluster, 1, 0, 0
    )
    table = struct.pack(">Q", 2 * cluster)
    counts = struct.pack(">4H", 1, 1, 1, 1)
    return b"".join(part.ljust(cluster, b"\0") for part in (header, table, counts, b""))


def words(machine: str) -> list[str]:
    """Return the shadow's command line."""
    return [*_MACHINE[machine], *_COMMON.split()]
