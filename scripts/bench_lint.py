"""``guestmap lint`` of a layout of 5000 regions, against PyYAML's C loader composing it.

The target: at most 1.5 times what the C loader takes to compose the text, plus 0.3 s.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import yaml
from clock import best

ROOT = Path(__file__).resolve().parent.parent
ALLOWED = 0.3
HEAD = """\
schema: 1
name: bench
machine: {type: custom}
memory: {size: 4GiB}
regions:
  - {name: ram, kind: ram, base: 0x1000_0000_0000, size: 8GiB}
"""


def make_layout(regions: int, *, spread: bool) -> str:
    """Write a layout without findings: each region on one line, or a line for each field."""
    lines = []
    for number in range(1, regions):
        base = 0x4000_0000 + number * 0x20_0000
        if spread:
            lines.append(
                f"  - name: bar{number}\n    kind: mmio\n    base: {base:#x}\n    size: 1MiB\n"
            )
        else:
            lines.append(f"  - {{name: bar{number}, kind: mmio, base: {base:#x}, size: 1MiB}}\n")
    return HEAD + "".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--regions", type=int, default=5000)
    regions = parser.parse_args().regions
    sys.path.insert(0, str(ROOT))
    from planner.layout.load import load

    for spread in (False, True):
        text = make_layout(regions, spread=spread)
        layout, findings = load(text.encode(), "bench.yaml")
        if layout is None or findings:
            raise SystemExit(f"the layout of the bench is wrong: {findings[:3]}")
        loader = yaml.CBaseLoader
        composed = best(partial(yaml.compose, text, Loader=loader))
        loaded = best(partial(load, text.encode(), "bench.yaml"))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bench.yaml"
            path.write_text(text)
            command = [sys.executable, "-m", "planner.cli", "lint", str(path)]
            linted = best(partial(subprocess.run, command, check=True), 3)
        form = "a line a field" if spread else "a line a region"
        target = 1.5 * composed + ALLOWED
        print(f"{regions} regions, {form}, {len(text) / 1024:.0f} KiB")
        print(f"  compose, C loader             {composed * 1000:8.1f} ms")
        for name, took in (("load", loaded), ("guestmap lint, whole process", linted)):
            against = took / target
            print(
                f"  {name:<29} {took * 1000:8.1f} ms {took / composed:6.1f} × compose"
                f" {against:6.2f} of the target (1.5 × compose + 0.3 s)"
            )


if __name__ == "__main__":
    main()
