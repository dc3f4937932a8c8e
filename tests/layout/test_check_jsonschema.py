"""The published schema as an editor or a CI job uses it: by check-jsonschema, which is not ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kit import ROOT


def check(*files: str, schema: str = "layout-v1.json") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-m", "check_jsonschema", "--schemafile", f"layouts/{schema}"]
    return subprocess.run(
        [*words, *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_every_layout_shipped_is_accepted() -> None:
    layouts = sorted(str(path.relative_to(ROOT)) for path in (ROOT / "layouts").glob("*.yaml"))
    done = check(*layouts)
    assert done.returncode == 0, done.stdout
    assert len(layouts) >= 7


def test_every_profile_shipped_is_accepted() -> None:
    profiles = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("layouts/hosts/*.yaml"))
    done = check(*profiles, schema="host-v1.json")
    assert done.returncode == 0, done.stdout
    assert len(profiles) >= 20


def test_what_the_loader_refuses_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("schema: 1\nname: x\nmachine: {type: virt}\nmemory: {sise: 4GiB}\n")
    done = check(str(bad))
    assert done.returncode == 1
    assert "sise" in done.stdout
