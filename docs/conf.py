"""Sphinx: HTML and man pages from the same files. scripts/docs builds both."""

import tomllib
from pathlib import Path

_PROJECT = tomllib.loads(
    (Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8")
)["project"]

project = "guestmap"
version = release = _PROJECT["version"]
author = ""
project_copyright = "the guestmap authors, Apache-2.0"

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3
# Options begin with two hyphens, not with a dash.
smartquotes = False
# Examples of bad YAML are meant to be bad.
suppress_warnings = ["misc.highlighting_failure"]
highlight_language = "none"

html_theme = "furo"
html_title = f"guestmap {release}"
html_show_sphinx = False
html_copy_source = False

man_pages = [
    ("reference/commands", "guestmap", _PROJECT["description"], "", 1),
    ("reference/layout", "guestmap-layout", "what a guest needs, for guestmap", "", 5),
    ("reference/profile", "guestmap-profile", "what is known of a host, for guestmap", "", 5),
    ("reference/exit-codes", "guestmap-exit-codes", "how guestmap's commands end", "", 7),
    ("reference/json", "guestmap-json", "what guestmap's commands print for programs", "", 7),
    ("explanation", "guestmap-regions", "how MSIs and reserved regions work", "", 7),
]
man_show_urls = True
