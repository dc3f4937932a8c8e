"""The inner QEMU from outside: started in the guest, its monitor on a socket here.

Whoever connects to :attr:`Bench.socket` speaks QMP with the QEMU that runs inside the guest, with
the guest's real VFIO under it. When that QEMU dies, connections end as they would with a local one.
"""

from __future__ import annotations

import json
import queue
import selectors
import shutil
import socket as sockets
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labkit import LabError
from labkit.archive import Archive
from labkit.boot import Guest, boot
from labkit.hosts import Host
from labkit.kernels import Kernel
from labkit.tables import tables_for

__all__ = ["Bench", "bench", "can_grow"]

_START_SECONDS = 60.0
_SHARED = Path("/usr/share")
_FIRMWARE = (
    *("seabios/bios-256k.bin", "seabios/bios.bin", "qemu/kvmvapic.bin"),
    *("qemu/multiboot.bin", "qemu/multiboot_dma.bin"),
)


@dataclass(slots=True)
class Bench:
    """A guest that is ready to start inner QEMUs."""

    guest: Guest
    #: Unix socket to connect to for a monitor of the inner QEMU.
    socket: Path
    line: sockets.socket
    #: What the guest's kernel says, as :func:`labkit.capture.write_tree` takes it.
    facts: dict[str, Any] = field(default_factory=dict)
    events: queue.Queue[list[Any]] = field(default_factory=queue.Queue)
    _clients: dict[int, sockets.socket] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _number: int = 0

    def start(self, argv: list[str]) -> None:
        """Start an inner QEMU, ending the one before.

        :raise LabError: it does not start.
        """
        self._drain()
        self.send("start", argv)
        word, *rest = self.wait_for("started", "exited", "stopped-again")
        if word != "started":
            raise LabError(f"the inner QEMU did not start: {rest}")

    def stop(self) -> None:
        """End the inner QEMU."""
        self.send("stop")
        self.wait_for("stopped")

    def died(self) -> tuple[int, str] | None:
        """Return status and last words of an inner QEMU that ended by itself; None if it lives."""
        found = None
        while True:
            try:
                word, *rest = self.events.get_nowait()
            except queue.Empty:
                return found
            if word == "exited":
                found = (int(rest[0]), str(rest[1]))

    def tell(self) -> tuple[str, str]:
        """Return what the inner QEMU wrote on stderr, and its guest on the debug console."""
        self.send("tell")
        _, errors, console = self.wait_for("told")
        return str(errors), str(console)

    def _drain(self) -> None:
        with suppress(queue.Empty):
            while True:
                self.events.get_nowait()

    def wait_for(self, *words: str) -> list[Any]:
        """Wait for one of the words of the guest."""
        try:
            while True:
                event = self.events.get(timeout=_START_SECONDS)
                if event[0] in words:
                    return event
        except queue.Empty:
            self.guest.check_time()
            said = self.guest.last_words()
            raise LabError(f"{self.guest.title}: no '{words[0]}' from inside; {said}") from None

    def send(self, *words: object) -> None:
        """Send one line into the guest."""
        with self._lock:
            self.line.sendall(json.dumps(words).encode() + b"\n")

    def serve(self, listener: sockets.socket) -> None:
        """Carry bytes between clients and the guest until the line ends; runs in a thread."""
        with selectors.DefaultSelector() as selector:
            selector.register(listener, selectors.EVENT_READ)
            selector.register(self.line, selectors.EVENT_READ)
            pending = b""
            while True:
                for key, _ in selector.select():
                    if key.fileobj == listener:
                        client, _ = listener.accept()
                        self._number += 1
                        self._clients[self._number] = client
                        selector.register(client, selectors.EVENT_READ, self._number)
                        self.send("open", self._number)
                    elif key.fileobj == self.line:
                        data = self.line.recv(1 << 16)
                        if not data:
                            return
                        *lines, pending = (pending + data).split(b"\n")
                        for line in lines:
                            self._heard(json.loads(line), selector)
                    else:
                        self._from_client(key.data, selector)

    def _heard(self, words: list[Any], selector: selectors.BaseSelector) -> None:
        if words[0] == "data" and words[1] in self._clients:
            with suppress(OSError):
                self._clients[words[1]].sendall(words[2].encode("latin-1"))
        elif words[0] == "closed" and words[1] in self._clients:
            self._forget(words[1], selector)
        elif words[0] not in ("data", "closed", "opened"):
            self.events.put(words)

    def _from_client(self, number: int, selector: selectors.BaseSelector) -> None:
        try:
            data = self._clients[number].recv(1 << 16)
        except OSError:
            data = b""
        if data:
            self.send("data", number, data.decode("latin-1"))
        else:
            self._forget(number, selector)
            self.send("close", number)

    def _forget(self, number: int, selector: selectors.BaseSelector) -> None:
        client = self._clients.pop(number)
        selector.unregister(client)
        client.close()


@contextmanager
def bench(
    host: Host, kernel: Kernel, devices: tuple[str, ...], *, seconds: float
) -> Iterator[Bench]:
    """Boot *host* with *devices* given to vfio-pci, ready for inner QEMUs.

    :raise LabError: the boot fails, or this machine's QEMU cannot run inside.
    """
    if host.architecture != "amd64":
        raise LabError(f"{host.name}: an inner QEMU needs this machine's own programs (amd64)")
    job = {"do": "inner", "hostname": host.name, "devices": devices}
    arguments = (
        *("-chardev", "socket,id=inner,path={folder}/line,server=on,wait=off"),
        *("-device", "virtserialport,bus=vs.0,chardev=inner,name=lab.inner"),
    )
    with boot(
        host,
        kernel,
        job,
        seconds=seconds,
        extra=_inner_programs(),
        tables=tables_for(host, kernel),
        memory="3G",
        arguments=arguments,
    ) as guest:
        line = _connect(guest)
        path = guest.folder / "qmp"
        with line, sockets.socket(sockets.AF_UNIX) as listener:
            listener.bind(str(path))
            listener.listen(8)
            made = Bench(guest, path, line)
            threading.Thread(target=made.serve, args=(listener,), daemon=True).start()
            made.facts = made.wait_for("facts")[1]
            yield made
            made.send("quit")


def _connect(guest: Guest) -> sockets.socket:
    """Connect to the port's socket as soon as QEMU has made it."""
    path = guest.folder / "line"
    while True:
        line = sockets.socket(sockets.AF_UNIX)
        try:
            line.connect(str(path))
        except OSError:
            line.close()
            if guest.process.poll() is not None:
                raise LabError(f"{guest.title}: QEMU ended; {guest.last_words()}") from None
            guest.check_time()
            threading.Event().wait(0.05)
        else:
            return line


def can_grow() -> bool:
    """Say whether the guest that drives virtio-mem can be compiled here."""
    return shutil.which("gcc") is not None


def _plugger() -> bytes:
    """Compile the guest that drives virtio-mem; empty where there is no compiler."""
    source = Path(__file__).parent / "plugger"
    compiler = shutil.which("gcc")
    if not compiler:
        return b""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "plugger"
        command = [compiler, "-m32", "-O1", "-ffreestanding", "-fno-pic", "-no-pie", "-static"]
        command += ["-fno-stack-protector", "-fno-asynchronous-unwind-tables", "-mno-sse"]
        command += ["-nostdlib", f"-Wl,-T,{source}/plugger.ld", "-Wl,--build-id=none"]
        command += ["-o", str(made), str(source / "plugger.c")]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise LabError(f"the virtio-mem guest cannot be compiled: {done.stderr.strip()}")
        return made.read_bytes()


def _inner_programs() -> Archive:
    """Return an archive with this machine's qemu-system-x86_64 and what it loads."""
    binary = shutil.which("qemu-system-x86_64")
    if not binary:
        raise LabError("qemu-system-x86_64 is not on this machine; install qemu-system-x86")
    archive = Archive()
    archive.file("usr/bin/qemu", Path(binary).read_bytes(), executable=True)
    modules = sorted(Path(binary).parents[1].glob("lib/*/qemu/accel-tcg-x86_64.so"))
    for module in modules:
        archive.file(str(module)[1:], module.read_bytes(), executable=True)
    for library in _libraries([binary, *map(str, modules)]):
        archive.file(library[1:], Path(library).read_bytes(), executable=True)
    archive.file("lab/plugger", _plugger())
    for name in _FIRMWARE:
        archive.file(f"usr/share/{name}", (_SHARED / name).read_bytes())
    return archive


def _libraries(files: list[str]) -> list[str]:
    said = subprocess.run(["ldd", *files], capture_output=True, text=True, check=True, timeout=60)
    words = (word for row in said.stdout.splitlines() for word in row.split())
    return sorted({word for word in words if word.startswith("/") and not word.endswith(":")})
