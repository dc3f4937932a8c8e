"""The inner QEMU: started here, with a real device, and reached from outside over one serial port.

The port carries JSON lines, ``[word, ...]``. In come ``start argv``, ``stop``, ``tell``,
``open id``, ``data id text``, ``close id``, ``quit``; out go ``facts``, ``started``,
``stopped stderr``, ``told stderr console``, ``opened id``, ``data id text``, ``closed id`` and
``exited status stderr``. An id is a connection to a monitor of the inner QEMU; text is its bytes
as Latin-1.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import time

import agent_port
import take
import trial
import vfio

TYPE_CHECKING = False  # typing takes a tenth of a second here
if TYPE_CHECKING:
    from typing import Any

MONITORS = ("/tmp/qmp0", "/tmp/qmp1")
ERRORS = "/tmp/qemu.errors"
CONSOLE = "/tmp/console"


def read(path: str) -> str:
    """Read a file; empty when there is none."""
    if not os.path.exists(path):
        return ""
    with open(path, errors="replace") as file:
        return file.read()


class Inner:
    """The inner QEMU and the connections to it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None
        self.connections: dict[int, Monitor] = {}
        self.pending = b""

    def send(self, *words: object) -> None:
        """Send one line out."""
        data = json.dumps(words).encode() + b"\n"
        while data:
            data = data[os.write(self.port, data) :]

    def serve(self) -> None:
        """Do what comes in until told to quit."""
        while True:
            sockets = {connection.fileno(): name for name, connection in self.connections.items()}
            ready, _, _ = select.select([self.port, *sockets], [], [], 0.05)
            for descriptor in ready:
                if descriptor in sockets:
                    self.from_monitor(sockets[descriptor])
                elif not self.from_outside():
                    self.stop()
                    return
            if self.process and self.process.poll() is not None:
                self.exited(self.process)

    def from_outside(self) -> bool:
        """Read lines; say whether to go on."""
        data = os.read(self.port, 65536)
        if not data:
            time.sleep(0.05)
        *lines, self.pending = (self.pending + data).split(b"\n")
        for line in lines:
            word, *rest = json.loads(line)
            if word == "quit":
                return False
            getattr(self, word)(*rest)
        return True

    def start(self, argv: list[str]) -> None:
        """Start QEMU and wait for its monitors."""
        self.stop()
        for path in (*MONITORS, CONSOLE):
            if os.path.exists(path):
                os.unlink(path)
        command = ["/usr/bin/qemu", *argv]
        for path in MONITORS:
            command += ["-qmp", f"unix:{path},server=on,wait=off"]
        with open(ERRORS, "wb") as errors:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=errors)
        for _ in range(600):
            if all(os.path.exists(path) for path in MONITORS):
                self.send("started")
                return
            if self.process.poll() is not None:
                self.exited(self.process)
                return
            time.sleep(0.05)
        self.stop()

    def open(self, name: int) -> None:
        """Connect to a monitor nobody uses."""
        for path in MONITORS:
            if all(path != other.path for other in self.connections.values()):
                connection = Monitor(path)
                if connection.connect():
                    self.connections[name] = connection
                    self.send("opened", name)
                    return
        self.send("closed", name)

    def data(self, name: int, text: str) -> None:
        """Pass bytes to a monitor."""
        if name in self.connections:
            try:
                self.connections[name].socket.sendall(text.encode("latin-1"))
            except OSError:
                self.close(name)

    def close(self, name: int) -> None:
        """Close a connection."""
        if name in self.connections:
            self.connections.pop(name).socket.close()
            self.send("closed", name)

    def from_monitor(self, name: int) -> None:
        """Pass bytes out; the connection may have been closed since it was found ready."""
        if name not in self.connections:
            return
        try:
            data = self.connections[name].socket.recv(65536)
        except OSError:
            data = b""
        if data:
            self.send("data", name, data.decode("latin-1"))
        else:
            self.close(name)

    def exited(self, process: subprocess.Popen[bytes]) -> None:
        """Tell how QEMU ended by itself."""
        status = process.wait()
        self.process = None
        for name in list(self.connections):
            self.from_monitor(name)
            self.close(name)
        self.send("exited", status, self.errors())

    def tell(self) -> None:
        """Tell what QEMU wrote on stderr, and its guest on the debug console."""
        self.send("told", self.errors(), read(CONSOLE))

    def errors(self) -> str:
        """Return what QEMU said last on its stderr."""
        return read(ERRORS)[-2000:]

    def stop(self) -> None:
        """End QEMU."""
        for name in list(self.connections):
            self.close(name)
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
            self.process = None
        self.send("stopped", self.errors())


class Monitor:
    """A connection to one of QEMU's monitors."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX)

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.socket.fileno()

    def connect(self) -> bool:
        """Connect; say whether somebody was there."""
        try:
            self.socket.connect(self.path)
        except OSError:
            return False
        return True


def run(job: dict[str, Any]) -> dict[str, object]:
    """Take the host's facts, then serve the port."""
    for device in job["devices"]:
        trial.take_group(vfio.group_of(device))
    facts = take.run(job)
    inner = Inner(os.open(agent_port.find("lab.inner"), os.O_RDWR))
    inner.send("facts", {name: facts[name] for name in ("files", "links", "release", "log")})
    inner.serve()
    return {}
