"""The virtio-serial ports to the outside."""

from __future__ import annotations

import os
import time


def find(name: str) -> str:
    """Return the device of the virtio-serial port of that name, waiting for it to appear.

    Behind a virtio-iommu the serial device is probed only after the module's own device was.
    """
    for _ in range(300):
        for entry in os.listdir("/sys/class/virtio-ports"):
            with open(f"/sys/class/virtio-ports/{entry}/name") as file:
                if file.read().strip() == name:
                    return f"/dev/{entry}"
        time.sleep(0.1)
    raise OSError(f"no virtio port {name}")
