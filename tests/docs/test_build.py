"""The documents build, as HTML and as man pages, without a warning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kit import ROOT

MADE = {
    "html": ["index.html", "tutorial.html", "findings/MM401.html", "reference/json.html"],
    "man": ["guestmap.1", "guestmap-layout.5", "guestmap-regions.7"],
}


def test_build(tmp_path: Path) -> None:
    """The pages are read once for both, which takes most of the time."""
    for builder, made in MADE.items():
        # Also references that lead nowhere (-n) are warnings, and warnings are errors (-W).
        words = ["-q", "-n", "-W", "--keep-going", "-b", builder, "-d", str(tmp_path / "trees")]
        result = subprocess.run(
            [sys.executable, "-m", "sphinx", *words, str(ROOT / "docs"), str(tmp_path / builder)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (result.returncode, result.stderr) == (0, "")
        assert [name for name in made if not (tmp_path / builder / name).is_file()] == []
