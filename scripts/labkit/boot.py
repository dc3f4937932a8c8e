"""One boot: QEMU started, watched, ended within its time whatever happens."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit import CACHE, LabError, MissingError
from labkit.archive import Archive
from labkit.hosts import Host
from labkit.initramfs import build
from labkit.kernels import Kernel
from labkit.packages import fetch, unpack

__all__ = ["Guest", "answer", "boot"]

_PR_SET_PDEATHSIG = 1
#: Lines of the console that say why a guest ended without an answer.
_SYMPTOMS = ("Kernel panic", "lab:", "Out of memory", "Traceback", "BUG:", "Error:")


@dataclass(slots=True)
class Guest:
    """A running guest and where its words go."""

    title: str
    process: subprocess.Popen[bytes]
    folder: Path
    deadline: float

    def wait(self) -> None:
        """Wait until the guest has switched itself off.

        :raise LabError: it did not in time.
        """
        while self.process.poll() is None:
            self.check_time()
            time.sleep(0.05)

    def check_time(self) -> None:
        """Raise when the boot's time is over.

        :raise LabError: with the last lines of the console.
        """
        if time.monotonic() > self.deadline:
            raise LabError(f"{self.title}: no answer within its time; {self.last_words()}")

    def last_words(self) -> str:
        """Return what the console tells of a failure."""
        console = self.folder / "console.log"
        lines = console.read_text(errors="replace").splitlines() if console.exists() else []
        telling = [line.strip() for line in lines if any(s in line for s in _SYMPTOMS)]
        written = (self.folder / "qemu.log").read_text(errors="replace").splitlines()
        errors = " | ".join(line for line in written if "has no peer" not in line)
        shown = " | ".join([errors, *(telling[:6] or [line.strip() for line in lines[-3:]])])
        kept = CACHE / "failed-console.log"
        kept.write_text("\n".join(lines) + "\n")
        return f"it said: {shown.strip(' |') or 'nothing'} (whole console: {kept})"


@contextmanager
def boot(
    host: Host,
    kernel: Kernel,
    job: dict[str, Any],
    *,
    seconds: float,
    extra: Archive | None = None,
    tables: bytes = b"",
    memory: str = "1G",
    arguments: tuple[str, ...] = (),
    by_hand: bool = False,
) -> Iterator[Guest]:
    """Boot *host* with *kernel* to do *job*; on leaving, nothing of it is left running.

    :param by_hand: the console is this terminal instead of a file.
    :param seconds: from start to end of the guest; ``GUESTMAP_LAB_SECONDS`` overrides it.
    :param extra: archive with the job's own programs.
    :param tables: uncompressed archive with replacement ACPI tables, put before the initramfs.
    :raise LabError: QEMU or a package is missing.
    """
    binary = shutil.which(host.qemu)
    if not binary:
        raise MissingError(f"{host.qemu} is not on this machine; install it to play {host.name}")
    initrd = build(host, kernel, job, extra)
    with tempfile.TemporaryDirectory(prefix="guestmap-lab-") as name:
        folder = Path(name)
        (folder / "initrd").write_bytes(tables + initrd)
        command = [binary, *host.arguments, "-accel", "tcg", "-m", memory, "-nographic"]
        command += ["-nodefaults", "-no-reboot", "-net", "none", "-monitor", "none"]
        command += ["-serial", "stdio" if by_hand else f"file:{folder}/console.log"]
        command += ["-kernel", str(kernel.image), "-initrd", str(folder / "initrd")]
        command += ["-append", _command_line(host), *_firmware(host, folder)]
        command += ["-device", "virtio-serial-pci,bus=pcie.0,addr=8,id=vs"]
        command += ["-chardev", f"file,id=answer,path={folder}/answer"]
        command += ["-device", "virtserialport,bus=vs.0,chardev=answer,name=lab.answer"]
        command += [part.replace("{folder}", name) for part in arguments]
        with (folder / "qemu.log").open("wb") as log:
            process = subprocess.Popen(
                command,
                stdin=None if by_hand else subprocess.DEVNULL,
                stdout=None if by_hand else log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509  # it calls prctl and nothing else
            )
        title = f"{host.name} with Linux {kernel.release}"
        try:
            limit = float(os.environ.get("GUESTMAP_LAB_SECONDS") or seconds)
            yield Guest(title, process, folder, time.monotonic() + limit)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def answer(host: Host, kernel: Kernel, job: dict[str, Any], **options: Any) -> dict[str, Any]:
    """Boot, let the guest do *job*, and return its answer.

    :raise LabError: the boot hangs, panics or ends without an answer.
    """
    with boot(host, kernel, job, **options) as guest:
        guest.wait()
        path = guest.folder / "answer"
        raw = path.read_bytes() if path.exists() else b""
        try:
            said = json.loads(zlib.decompress(raw))
        except (zlib.error, ValueError) as error:
            raise LabError(
                f"{guest.title}: ended without a whole answer ({len(raw)} bytes);"
                f" {guest.last_words()}"
            ) from error
    if not isinstance(said, dict):
        raise LabError(f"{guest.title}: the answer is not a JSON object")
    if "error" in said:
        raise LabError(f"{guest.title}: {said['error']}")
    return said


def _command_line(host: Host) -> str:
    # On a busy machine ticks come too late for the kernel's test of its timer, and it panics
    # (arch/x86/kernel/apic/io_apic.c timer_irq_works(), Linux 6.1).
    x86 = host.architecture == "amd64"
    console = "ttyS0 no_timer_check" if x86 else "ttyAMA0"
    # A guest that errs ends at once, and the same kernel says the same each time.
    always = "nokaslr quiet loglevel=4 oops=panic panic=-1"
    return f"console={console} {always} {host.command_line}".strip()


def _firmware(host: Host, folder: Path) -> list[str]:
    """Return the arguments for UEFI, its variables in a file of this boot's own."""
    if not host.firmware:
        return []
    packages = fetch(("qemu-efi-aarch64",), "bookworm", "amd64")
    root = unpack(packages, CACHE / "programs" / "firmware")
    code = root / "usr/share/AAVMF/AAVMF_CODE.fd"
    variables = folder / "variables.fd"
    shutil.copyfile(root / "usr/share/AAVMF/AAVMF_VARS.fd", variables)
    return [
        *("-drive", f"if=pflash,format=raw,readonly=on,file={code}"),
        *("-drive", f"if=pflash,format=raw,file={variables}"),
    ]


def _die_with_parent() -> None:
    """Have the kernel end QEMU should this program be killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
