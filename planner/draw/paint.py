"""How text is coloured for a terminal: styles by name, one painter for every picture.

Severity words and marks carry the meaning without colours, so the plain painter loses nothing.
Painted text says where its colours are by a mark that no other text can hold; :func:`shown` makes
them what terminals read, and all the rest harmless.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from planner.text.harmless import harmless

__all__ = ["Paint", "painter", "plain", "shown"]

#: Paints a text in a style.
Paint = Callable[[str, str], str]

#: Begins a colour. Drawn anew for every run: no text from outside can have it.
_MARK = f"\x1b{os.urandom(8).hex()}"

#: Parameters of "select graphic rendition" by style: what a region is, how bad a finding is.
_STYLES = {
    "ram": "32",
    "rom": "36",
    "hole": "33",
    "clash": "1;31",
    "doorbell": "36",
    "window": "34",
    "io": "2",
    "dim": "2",
    "bold": "1",
    "gutter": "34",
    "error": "1;31",
    "warning": "1;33",
    "note": "1;36",
}


def plain(text: str, style: str) -> str:
    """Paint nothing."""
    del style
    return text


def painter(*, color: bool) -> Paint:
    """Return the function that colours text by style, or the one that leaves it alone."""
    if not color:
        return plain
    return lambda text, style: f"{_MARK}{_STYLES[style]}m{text}{_MARK}0m"


def shown(line: str) -> str:
    """Return a line as it is printed: one line, whose only escapes are a painter's."""
    text, *painted = line.split(_MARK)
    parts = [harmless(text)]
    for piece in painted:
        style, _, text = piece.partition("m")
        parts.append(f"\x1b[{style}m{harmless(text)}")
    return "".join(parts)
