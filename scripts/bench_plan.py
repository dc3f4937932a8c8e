"""``guestmap plan`` on a sysfs tree of 1000 groups of 5 lines, against reading those files."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from clock import best

ROOT = Path(__file__).resolve().parent.parent
LINES = """\
0x0000000001000000 0x0000000010ffffff direct-relaxable
0x0000000008000000 0x00000000080fffff msi
0x000000080c000000 0x000000081bffffff direct-relaxable
0x0000001c00000000 0x0000001c001fffff direct-relaxable
0x{base:016x} 0x{last:016x} reserved
"""
LAYOUT = """\
schema: 1
name: bench
machine: {type: virt, version: "7.2", cpu: max}
memory: {size: 4GiB}
"""


def make_tree(root: Path, groups: int, *, distinct: bool) -> None:
    """Write a tree as sysfs has it: one device in each group."""
    for number in range(groups):
        group = root / f"kernel/iommu_groups/{number}"
        name = f"{number >> 8:04x}:{number & 0xFF:02x}:00.0"
        device = root / f"bus/pci/devices/{name}"
        (group / "devices").mkdir(parents=True)
        device.mkdir(parents=True)
        base = (0x20_8000_0000 + (number << 21)) if distinct else 0x20_8000_0000
        (group / "reserved_regions").write_text(LINES.format(base=base, last=base + (1 << 20) - 1))
        (group / "type").write_text("DMA\n")
        for key, value in (("vendor", "0x8086"), ("device", "0x1572"), ("class", "0x020000")):
            (device / key).write_text(value + "\n")
        (group / "devices" / name).symlink_to(device)


def read_plainly(root: Path) -> int:
    """Read every reserved_regions file and do nothing with it."""
    total = 0
    for group in (root / "kernel/iommu_groups").iterdir():
        with (group / "reserved_regions").open("rb") as stream:
            total += len(stream.read())
    return total


def read_everything(root: Path) -> int:
    """Read every file that the profile is made of: regions, type, and the devices' ids."""
    total = read_plainly(root)
    for group in (root / "kernel/iommu_groups").iterdir():
        total += len((group / "type").read_bytes())
        for device in (group / "devices").iterdir():
            for key in ("vendor", "device", "class"):
                total += len((device / key).read_bytes())
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--groups", type=int, default=1000)
    groups = parser.parse_args().groups
    sys.path.insert(0, str(ROOT))
    from planner.host.profile import Scope
    from planner.host.read import read_host
    from planner.layout.load import load
    from planner.place.plan import make_plan

    layout, problems = load(LAYOUT.encode(), "bench.yaml")
    if layout is None:
        raise SystemExit(f"the layout of the bench is wrong: {problems}")
    for distinct in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder) / "sys"
            make_tree(root, groups, distinct=distinct)
            (Path(folder) / "layout.yaml").write_text(LAYOUT)
            plain, whole = best(lambda: read_plainly(root)), best(lambda: read_everything(root))
            read = best(lambda: read_host(root))
            profile = read_host(root)
            planned = best(lambda: make_plan(layout, [profile], {}), 3)
            profile.usable(Scope.HOST)
            command = [sys.executable, "-m", "planner.cli", "plan", f"{folder}/layout.yaml"]
            ran = best(
                lambda: subprocess.run(
                    [*command, "--host", str(root)], check=False, stdout=subprocess.DEVNULL
                ),
                3,
            )
            kind = "distinct" if distinct else "equal"
            print(f"{groups} groups of 5 {kind} lines")
            print(f"  reading the reserved_regions files  {plain * 1000:8.1f} ms")
            print(f"  reading all files of the facts      {whole * 1000:8.1f} ms")
            for name, took in (
                ("read_host", read),
                ("make_plan", planned),
                ("both", read + planned),
                ("guestmap plan, whole process", ran),
            ):
                print(f"  {name:<35} {took * 1000:8.1f} ms {took / whole:6.1f} × all files")


if __name__ == "__main__":
    main()
