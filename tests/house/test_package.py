"""What is installed works without the tree it was built from."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from kit import ROOT

pytestmark = [pytest.mark.long, pytest.mark.xdist_group("package")]


def run(*words: str | Path, cwd: Path) -> str:
    """Run a program that knows nothing of this tree or its environment."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words],
        cwd=cwd,
        env=clean,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel, install it into an environment of its own, and return its folder."""
    folder = tmp_path_factory.mktemp("package")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    run(*pip, "wheel", "--no-deps", "-w", folder, ROOT, cwd=folder)
    (wheel,) = folder.glob("guestmap-*.whl")
    run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
    run(folder / "venv/bin/python", *pip[1:], "install", wheel, cwd=folder)
    return folder


def test_the_wheel_brings_its_own_layouts_and_pages(installed: Path) -> None:
    guestmap = installed / "venv/bin/guestmap"
    shipped = next((installed / "venv").rglob("shipped"))
    assert run(guestmap, "--version", cwd=installed).startswith("guestmap, version ")
    assert run(guestmap, "explain", "MM401", cwd=installed).startswith("# MM401 ")
    plan = run(guestmap, "plan", shipped / "arm-guest-on-amd.yaml", cwd=installed)
    assert plan.startswith("arm-guest-on-amd: 4 GiB on virt 7.2, against puchatek (scope host)")
    assert run(guestmap, "schema", cwd=installed) == (ROOT / "layouts/layout-v1.json").read_text()
    held = {path.name for path in (installed / "venv").rglob("site-packages/*")}
    assert {"planner", "qmp_glue"} <= held
    assert not {"tests", "scripts", "docs", "kit"} & held


def test_the_source_archive_has_what_a_test_run_needs(tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv/bin/python"
    run(python, "-m", "pip", "--disable-pip-version-check", "-q", "install", "build", cwd=tmp_path)
    run(python, "-m", "build", "--sdist", "--outdir", tmp_path / "out", ROOT, cwd=tmp_path)
    (archive,) = (tmp_path / "out").glob("guestmap-*.tar.gz")
    with tarfile.open(archive) as tar:
        held = {name.partition("/")[2] for name in tar.getnames()}
    wanted = run("git", "ls-files", "tests", "scripts", "layouts", "docs", cwd=ROOT).splitlines()
    assert sorted(set(wanted) - held) == []
