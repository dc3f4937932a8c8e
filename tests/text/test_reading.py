"""Reading from outside ends: whatever a name leads to, and however much comes out of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path

import pytest
from kit import ROOT, cli_runner
from kit.traps import GOOD

from planner.cli import group
from planner.host.read import read_host
from planner.text import read
from planner.text.read import MOST_BYTES, read_file

COMMANDS = (
    ["plan"],
    ["lint"],
    ["fmt"],
    ["show"],
    ["host"],
    ["args"],
    ["explain"],
    ["verify", "--qmp", "unix:/nonexistent"],
    ["plan", "layouts/arm-guest-on-amd.yaml", "--host"],
)


@pytest.fixture
def unwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(read, "_LOOKS", 4)
    os.mkfifo(tmp_path / "fifo")
    return str(tmp_path / "fifo")


@pytest.mark.parametrize(
    "words", [words for words in COMMANDS if words != ["explain"]], ids=" ".join
)
def test_a_device_without_end_is_refused(words: list[str]) -> None:
    tracemalloc.start()
    try:
        result = cli_runner().invoke(group, [*words, "/dev/zero"])
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.exit_code == 2
    assert "/dev/zero cannot be read: it has more than 64 MiB" in result.stderr
    assert peak < 4 * MOST_BYTES


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_fifo_without_writer_is_refused(words: list[str], unwritten: str) -> None:
    result = cli_runner().invoke(group, [*words, unwritten])
    assert result.exit_code == 2
    assert f"{unwritten} cannot be read: it is a FIFO that nobody writes to" in result.stderr


def test_standard_input_without_end_is_refused() -> None:
    words = [sys.executable, "-m", "planner.cli", "plan", "-"]
    with Path("/dev/zero").open("rb") as zero:
        done = subprocess.run(words, stdin=zero, capture_output=True, timeout=60, check=False)
    assert done.returncode == 2
    assert b"- cannot be read: it has more than 64 MiB" in done.stderr


def test_a_slow_writer_is_waited_for(unwritten: str) -> None:
    """Somebody who has the FIFO open may take longer than somebody who has yet to come."""

    def write() -> None:
        with Path(unwritten).open("wb") as fifo:
            for part in (GOOD[:10], GOOD[10:]):
                stop.wait(0.3)
                fifo.write(part.encode())
                fifo.flush()

    stop = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    assert read_file(unwritten) == GOOD.encode()
    writer.join()


def test_a_process_substitution_is_read() -> None:
    words = f"{sys.executable} -m planner.cli lint <(sleep 0.1; echo 'schema: 1')"
    done = subprocess.run(
        ["bash", "-c", words], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert "the layout lacks 'machine'" in done.stdout


def test_what_the_kernel_tells_a_page_at_a_time_is_read_whole() -> None:
    """/proc/iomem of any server has more than one page; this file of our own has too."""
    with Path("/proc/self/smaps").open("rb") as file:
        size = len(file.read())
    assert size > 3 * 4096
    assert abs(len(read_file("/proc/self/smaps")) - size) < size // 10


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, (1 << 20) + 4096, 1 << 22])
def test_a_file_is_read_whole_or_refused(size: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a" * size)
    assert read_file(str(path), 1 << 22) == b"a" * size
    if size:
        with pytest.raises(OSError, match="more than"):
            read_file(str(path), size - 1)


def test_a_copied_tree_leads_nowhere(tmp_path: Path) -> None:
    """Links to devices and FIFOs in it are files that cannot be read."""
    groups = tmp_path / "kernel" / "iommu_groups"
    for id_, target in (("0", "/dev/zero"), ("1", "fifo"), ("2", "absent")):
        (groups / id_ / "devices").mkdir(parents=True)
        (groups / id_ / "reserved_regions").symlink_to(target)
    os.mkfifo(groups / "1" / "fifo")
    writer = os.open(groups / "1" / "fifo", os.O_RDWR)
    try:
        profile = read_host(tmp_path)
    finally:
        os.close(writer)
    assert [group.whole for group in profile.groups] == [False, False, False]
    said = [finding.message.partition(": ")[2] for finding in profile.findings[:3]]
    assert said == [
        "it has more than 64 MiB",
        "Resource temporarily unavailable",
        "No such file or directory",
    ]
