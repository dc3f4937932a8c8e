"""The short tier: a real kernel's verdicts, and a real VM that is rescued.

With --long also every host kind with every kernel. What takes hours is run by hand: docs/lab.md.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kit import ROOT
from kit.captures import CAPTURES, Captured
from labkit.tarball import SUFFIX, unpack

from planner.host.sysfs import read_sysfs

#: One boot at a time, also when tests run in parallel.
pytestmark = [pytest.mark.lab, pytest.mark.xdist_group("lab")]

_MISSING = 4


def run_lab(
    *arguments: str, environment: dict[str, str] | None = None, seconds: float = 900
) -> tuple[int, str, str]:
    done = subprocess.run(
        [str(ROOT / "scripts" / "lab"), *arguments],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        env=os.environ | (environment or {}),
    )
    if done.returncode == _MISSING:
        pytest.skip(f"THE LAB DID NOT RUN: {done.stderr.strip()}")
    return done.returncode, done.stdout, done.stderr


def test_the_kernels_of_an_x86_and_an_arm_host_agree_on_every_span() -> None:
    status, out, err = run_lab("oracle", "intel-39", "smmuv3", "--kernel", "6.12", "-n", "400")

    rows = re.findall(r"^(\S+) +6\.12\S+ +(\d+) +(\d+) +\d+  (\d+)$", out, re.MULTILINE)
    assert status == 0, out + err
    assert [(host, wrong) for host, _, _, wrong in rows] == [("intel-39", "0"), ("smmuv3", "0")]
    for _, asked, mapped, _ in rows:
        assert int(asked) == 400
        # A draw that is all mapped or all refused would show nothing.
        assert 50 < int(mapped) < 350
    assert out.endswith("800 spans on 2 hosts, 0 disagreements\n")


def test_scenes_end_as_guestmap_said_and_none_dies_behind_the_guard() -> None:
    status, out, err = run_lab("hotplug", "amd", "--kernel", "6.12", "-n", "9", "--seed", "7")

    assert status == 0, out + err
    works, error, died, guarded, wrong = map(
        int,
        re.findall(r"^amd +6\.12\S+ +9 +(\d+) +(\d+) +(\d+) +(\d+)  (\d+)$", out, re.MULTILINE)[0],
    )
    assert works + error + died == 9
    assert works
    assert error + died
    assert (guarded, wrong) == (0, 0)


def test_the_scene_that_kills_a_bare_qemu_is_survived_behind_the_guard() -> None:
    status, out, err = run_lab("hotplug", "amd", "--kernel", "6.12", "--rescue")

    assert status == 0, out + err
    bare, _, guarded = out.partition("# the same again")
    assert "qemu: hardware error: vfio: DMA mapping failed, unable to continue" in bare
    assert bare.rstrip().endswith("# QEMU is gone: SIGABRT")
    assert "<- error: guestmap MM401: memory 'dimm1' [0xfd00000000-0xfd03ffffff] covers" in guarded
    assert guarded.endswith("# the VM lives\n")


@pytest.mark.long
def test_every_kernel_of_every_host_agrees() -> None:
    status, out, err = run_lab("oracle", "-n", "600", "--seed", "3", seconds=7200)

    assert status == 0, out + err
    spans, hosts = re.findall(r"^(\d+) spans on (\d+) hosts, 0 disagreements$", out, re.MULTILINE)[
        0
    ]
    assert int(hosts) > len(CAPTURES)
    assert int(spans) >= 600 * 10


@pytest.mark.long
def test_every_capture_is_what_the_kernel_says_again(tmp_path: Path, captured: Captured) -> None:
    """A kernel that Debian updated may log other words; what it reserves stays."""
    status, _, err = run_lab("capture", "--into", str(tmp_path), seconds=7200)

    assert status == 0, err
    taken = sorted(path.name.removesuffix(SUFFIX) for path in tmp_path.glob(f"*{SUFFIX}"))
    assert taken == CAPTURES
    for name in taken:
        unpack(tmp_path / f"{name}{SUFFIX}", tmp_path / name)
        assert reserved(tmp_path / name) == reserved(captured(name)), name


def reserved(tree: Path) -> list[tuple[str, list[str], list[str]]]:
    """Return each group with its devices and what is reserved for it."""
    return [
        (
            group.id,
            [device.name for device in group.devices],
            [f"{region.span} {region.type}" for region in group.regions],
        )
        for group in read_sysfs(tree).groups
    ]


def test_a_boot_that_hangs_is_ended_in_its_time_and_leaves_nothing(tmp_path: Path) -> None:
    begun = time.monotonic()

    status, _, err = run_lab(
        "capture",
        "intel-39",
        "--kernel",
        "6.12",
        environment={"GUESTMAP_LAB_SECONDS": "1", "TMPDIR": str(tmp_path)},
    )

    assert status == 3
    assert "lab: intel-39 with Linux 6.12" in err
    assert "no answer within its time" in err
    # Making the initramfs takes the longest.
    assert time.monotonic() - begun < 60
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, check=False)
    assert left.returncode == 1
    assert list(tmp_path.iterdir()) == []


@contextlib.contextmanager
def ended_after(process: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    """Kill a process that has no time limit of its own: then nothing waits for it."""
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        process.kill()


def test_a_person_may_look_around() -> None:
    words = [str(ROOT / "scripts" / "lab"), "boot", "intel-39", "--kernel", "6.12"]
    pipe = subprocess.PIPE
    with (
        subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL) as process,
        ended_after(process, 600),
    ):
        assert process.stdin
        assert process.stdout
        said = b""
        # The shell may ask the terminal for the cursor's place behind its prompt.
        while b"lab# " not in said:
            more = os.read(process.stdout.fileno(), 4096)
            if not more and process.wait() == _MISSING:
                pytest.skip("THE LAB DID NOT RUN")
            assert more, said
            said += more
        process.stdin.write(b"cat /sys/kernel/iommu_groups/7/reserved_regions; exit\n")
        process.stdin.flush()
        assert b"0x00000000fee00000 0x00000000feefffff msi" in process.stdout.read()
        assert process.wait() == 0


def test_an_unknown_host_kind_is_a_usage_error() -> None:
    status, _, err = run_lab("capture", "intel-40")

    assert status == 2
    assert err.endswith("lab: no host kind intel-40; see scripts/lab list\n")
