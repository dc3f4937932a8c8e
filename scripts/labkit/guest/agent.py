"""The agent: does the job the initramfs carries and sends the answer out."""

from __future__ import annotations

import json
import os
import socket
import sys
import traceback
import zlib

sys.path.insert(0, "/lab")

import agent_pci
import agent_port


def send(answer: dict[str, object]) -> None:
    """Send the answer, whole."""
    data = zlib.compress(json.dumps(answer).encode(), 1)
    descriptor = os.open(agent_port.find("lab.answer"), os.O_WRONLY)
    while data:
        data = data[os.write(descriptor, data) :]
    os.close(descriptor)


def main() -> None:
    """Do the job."""
    with open("/lab/job.json") as file:
        job = json.load(file)
    socket.sethostname(job.get("hostname", "lab"))
    try:
        agent_port.find("lab.answer")
        agent_pci.bind_ungrouped()
        module = __import__(job["do"])
        answer = module.run(job)
    except Exception as error:  # noqa: BLE001  # the outside tells the person
        traceback.print_exc()
        answer = {"error": f"{type(error).__name__}: {error}"}
    send(answer)


main()
