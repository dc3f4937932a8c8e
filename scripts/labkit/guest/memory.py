"""What this guest makes of its memory: total, map, and blocks."""

from __future__ import annotations

import time
from pathlib import Path

_BLOCKS = Path("/sys/devices/system/memory")


def run(job: dict[str, object]) -> dict[str, object]:
    """Wait until memory stands still, and tell of it."""
    said = _look()
    still = 0
    while still < int(str(job.get("still", 20))):
        time.sleep(0.1)
        now = _look()
        still = still + 1 if now == said else 0
        said = now
    return said


def _look() -> dict[str, object]:
    size = int((_BLOCKS / "block_size_bytes").read_text(), 16)
    blocks = {
        int(path.name.removeprefix("memory")): (path / "state").read_text().strip()
        for path in _BLOCKS.glob("memory[0-9]*")
    }
    meminfo = Path("/proc/meminfo").read_text().split()
    ram = [line for line in Path("/proc/iomem").read_text().splitlines() if "System RAM" in line]
    return {
        "total": int(meminfo[1]) << 10,
        "block": size,
        "online": sorted(index * size for index, state in blocks.items() if state == "online"),
        "offline": sorted(index * size for index, state in blocks.items() if state != "online"),
        "ram": ram,
    }
