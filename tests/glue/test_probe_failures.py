"""A probe of something that does not behave: a clear error, and nothing left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from kit.fake_qemu import fake, pid_of

from planner.argv.split import ArgvError
from qmp_glue import probe as probe_module
from qmp_glue import session
from qmp_glue.errors import GarbageError, GlueError, LostError, SilentError, StartError
from qmp_glue.probe import probe


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


@pytest.mark.parametrize(
    ("name", "kind", "why"),
    [
        ("silent", SilentError, "its monitor did not answer in time"),
        ("closes", LostError, "closed its monitor without a word and goes on running"),
        ("garbage", GarbageError, "what answered is not a QMP monitor"),
        ("not-a-greeting", GarbageError, "what answered is not a QMP monitor"),
        ("no-version", GarbageError, "did not tell QEMU's version"),
        ("refuses", StartError, "refused to start: unsupported machine type"),
        ("wordless", StartError, "ended with exit code 7 and said nothing"),
        ("leaves", StartError, "ended without opening its monitor"),
        ("killed", LostError, "ended by SIGSEGV"),
        ("dies-later", StartError, "ended with exit code 3"),
        ("no-answer", SilentError, "no answer to qom-get"),
        ("nonsense-map", GarbageError, 'no flat view of address space "memory"'),
        ("number-map", GarbageError, "'info mtree -f' answered int, not text"),
        ("nonsense-devices", GarbageError, "query-memory-devices answered something else"),
    ],
)
def test_a_program_that_is_no_qemu(
    name: str, kind: type[GlueError], why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session.Session.execute, "__defaults__", (None, 0.3))
    monkeypatch.setattr(probe_module, "_EXIT_SECONDS", 0.5)
    program = fake(tmp_path, name)
    with pytest.raises(kind) as caught:
        probe([str(program), "-M", "q35", "-m", "1G"], seconds=1.5 if name == "silent" else 20)
    assert why in caught.value.message
    assert str(program) in caught.value.message or "info mtree" in caught.value.message
    assert is_gone(pid_of(program))


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(StartError, match="no such program, or it may not be executed"):
        probe(["/nowhere/qemu-system-x86_64", "-M", "q35"])


def test_a_file_that_is_no_program(tmp_path: Path) -> None:
    program = tmp_path / "qemu-system-x86_64"
    program.write_bytes(b"\x7fNOT an ELF")
    program.chmod(0o755)
    with pytest.raises(StartError, match="cannot be started: Exec format error"):
        probe([str(program), "-M", "q35"])


def test_a_backend_too_large_for_any_file(tmp_path: Path) -> None:
    words = [str(fake(tmp_path, "silent")), "-M", "q35"]
    words += ["-object", "memory-backend-file,id=m0,size=9E,mem-path=/tmp/x"]
    with pytest.raises((StartError, ArgvError), match="m0"):
        probe(words)


def test_a_firmware_image_that_cannot_be_read(tmp_path: Path) -> None:
    words = [str(fake(tmp_path, "silent")), "-drive", "if=pflash,file=/nowhere/code.fd"]
    with pytest.raises(ArgvError, match=r"firmware image '/nowhere/code\.fd' cannot be read"):
        probe(words)


def wait_for(path: Path) -> None:
    for _ in range(2000):
        if path.exists() and path.read_text(encoding="utf-8"):
            return
        time.sleep(0.01)
    pytest.fail(f"{path} did not appear")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_when_the_probe_is_interrupted(how: signal.Signals, tmp_path: Path) -> None:
    program = fake(tmp_path, "silent")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    words = [sys.executable, "-m", "planner.cli", "map", "--timeout", "60", "--", str(program)]
    with subprocess.Popen(
        words,
        env={**os.environ, "TMPDIR": str(scratch)},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # A test run in the background inherits an ignored SIGINT, which Python would keep.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as running:
        wait_for(Path(f"{program}.pid"))
        running.send_signal(how)
        code = running.wait(30)
    assert code == (130 if how is signal.SIGINT else -how)
    for _ in range(500):
        if is_gone(pid_of(program)):
            break
        time.sleep(0.01)
    assert is_gone(pid_of(program))
    assert list(scratch.iterdir()) == []
