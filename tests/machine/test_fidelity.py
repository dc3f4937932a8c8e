"""The machine tables against the real QEMU: whatever is asked, both give the same map."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from kit.argv_draws import FAMILIES, compare, draw, version_of

from planner.machine.versions import parse_version

PROGRAMS = {
    "virt": "qemu-system-aarch64",
    "q35": "qemu-system-x86_64",
    "pc": "qemu-system-x86_64",
}
LINES_PER_BATCH = 25
BATCHES_PER_FAMILY = 4


@pytest.fixture(scope="module")
def firmware(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("firmware") / "firmware.bin"
    path.write_bytes(bytes(64 << 10))
    return path


@pytest.mark.qemu
@pytest.mark.parametrize("batch", range(BATCHES_PER_FAMILY))
@pytest.mark.parametrize("family", FAMILIES)
def test_the_model_says_what_qemu_does(family: str, batch: int, firmware: Path) -> None:
    program = shutil.which(PROGRAMS[family])
    assert program, f"{PROGRAMS[family]} is not installed; scripts/test installs it"
    version = version_of(program)
    rng = random.Random(f"{family} {batch}")
    maps = 0
    wrong = []
    for _ in range(LINES_PER_BATCH):
        words = draw(rng, family, program, parse_version(version), firmware)
        verdict = compare(words, version)
        maps += verdict.mapped
        if verdict.difference:
            wrong.append(f"{' '.join(words)}\n  {verdict.difference}")
    assert not wrong, "\n".join(wrong)
    # A batch in which QEMU refuses nearly everything would show nothing.
    assert maps >= LINES_PER_BATCH // 5
