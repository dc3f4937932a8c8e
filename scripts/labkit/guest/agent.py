"""The agent: does the job the initramfs carries and sends the answer out."""

import json
import os
import socket
import sys
import time
import traceback
import zlib

sys.path.insert(0, "/lab")

import agent_pci  # noqa: E402  # /lab is not on the path before


def port(name):
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


def send(answer):
    """Send the answer, whole."""
    data = zlib.compress(json.dumps(answer).encode(), 1)
    descriptor = os.open(port("lab.answer"), os.O_WRONLY)
    while data:
        data = data[os.write(descriptor, data) :]
    os.close(descriptor)


def main():
    """Do the job."""
    with open("/lab/job.json") as file:
        job = json.load(file)
    socket.sethostname(job.get("hostname", "lab"))
    try:
        port("lab.answer")
        agent_pci.bind_ungrouped()
        module = __import__(job["do"])
        answer = module.run(job)
    except Exception as error:  # noqa: BLE001  # the outside tells the person
        traceback.print_exc()
        answer = {"error": f"{type(error).__name__}: {error}"}
    send(answer)


main()
