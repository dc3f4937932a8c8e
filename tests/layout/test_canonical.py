"""The canonical form: stable, of the same meaning, and without a comment lost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from kit import ROOT
from kit.traps import TRAPS, WHOLE

from planner.layout.load import load
from planner.layout.model import Layout
from planner.layout.schema import LAYOUT
from planner.region import Origin
from planner.text.canonical import canonical
from planner.text.comments import comments
from planner.text.source import read
from planner.text.spelling import spell

EXAMPLES = WHOLE | {path.name: path.read_text() for path in sorted(ROOT.glob("layouts/*.yaml"))}


def meaning(text: str) -> Layout:
    """Return a layout without its places."""
    layout, findings = load(text.encode(), "f.yaml")
    assert layout is not None, findings
    nowhere = Origin("")
    return replace(
        layout,
        locs={},
        sha256="",
        regions=tuple(replace(region, origin=nowhere) for region in layout.regions),
        windows=tuple(replace(window, origin=nowhere) for window in layout.windows),
        silence=tuple(replace(silencer, loc=None) for silencer in layout.silence),
    )


def remarks(text: str) -> list[str]:
    root, _ = read(text.encode(), "f.yaml")
    return sorted(comment for _, _, comment in comments(text, root))


def fits(text: str) -> None:
    formed = canonical(text.encode(), LAYOUT)
    assert meaning(formed) == meaning(text)
    assert canonical(formed.encode(), LAYOUT) == formed
    assert remarks(formed) == remarks(text)


GOOD_TRAPS = [
    name
    for name, text in TRAPS.items()
    if load(text if isinstance(text, bytes) else text.encode(), "f")[0]
]


@pytest.mark.parametrize("name", GOOD_TRAPS)
def test_good_traps(name: str) -> None:
    text = TRAPS[name]
    assert isinstance(text, str)
    fits(text)


LINES = st.sampled_from(["# one", "  # two", "", "#", "      # deep"])


@given(st.sampled_from(sorted(EXAMPLES)), st.data())
def test_examples_with_comments_anywhere(name: str, data: st.DataObject) -> None:
    lines = EXAMPLES[name].splitlines()
    for _ in range(data.draw(st.integers(0, 6))):
        at = data.draw(st.integers(0, len(lines)))
        if data.draw(st.booleans()):
            lines.insert(at, data.draw(LINES))
        elif at < len(lines) and lines[at] and "#" not in lines[at]:
            lines[at] += "  # beside"
    fits("\n".join(lines) + "\n")


BLOCK = """\
schema: 1
name: a
machine:
  type: virt
  options:
    gic-version: 3
    highmem: off
memory:
  size: 4GiB
  max: 8GiB
devices:
  - host: 01:00.0
  - host: 02:00.0
hotplug:
  devices:
    - 03:00.0
silence:
  - code: MM406
    reason: "yes: no # maybe"
"""


@given(st.data())
def test_block_style_with_comments_anywhere(data: st.DataObject) -> None:
    lines = BLOCK.splitlines()
    for _ in range(data.draw(st.integers(0, 8))):
        at = data.draw(st.integers(0, len(lines)))
        if data.draw(st.booleans()):
            lines.insert(at, data.draw(LINES))
        elif at < len(lines) and lines[at].strip() and "#" not in lines[at]:
            lines[at] += " # beside"
    fits("\n".join(lines) + "\n")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_spelled_text_is_text_to_every_reader(text: str) -> None:
    spelled = spell(text)
    root, findings = read(f"[{spelled}]".encode(), "f.yaml")
    assert findings == []
    assert yaml.safe_load(f"[{spelled}]") == [text]
    assert root is not None
