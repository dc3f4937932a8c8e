"""Giving PCI devices to vfio-pci."""

from __future__ import annotations

import os


def bind(device: str) -> None:
    """Give a PCI device to vfio-pci."""
    with open(f"/sys/bus/pci/devices/{device}/driver_override", "w") as file:
        file.write("vfio-pci")
    try:
        with open("/sys/bus/pci/drivers_probe", "w") as file:
            file.write(device)
    except OSError as error:
        print(f"{device} cannot be bound: {error}")


def unbind(device: str) -> None:
    """Take a PCI device from its driver."""
    with open(f"/sys/bus/pci/devices/{device}/driver/unbind", "w") as file:
        file.write(device)


def bind_ungrouped() -> None:
    """Give devices without a group to vfio-pci, which gives them one.

    Before Linux 6.15 a devicetree's or VIOT's IOMMU was connected to a device only when a driver
    was probed, so that a device nobody drives was in no group.
    """
    for device in sorted(os.listdir("/sys/bus/pci/devices")):
        if not os.path.exists(f"/sys/bus/pci/devices/{device}/iommu_group"):
            bind(device)
