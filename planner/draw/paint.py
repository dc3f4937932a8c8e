"""How text is coloured for a terminal: styles by name, one painter for every picture.

Severity words and marks carry the meaning without colours, so the plain painter loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["Paint", "painter", "plain"]

#: Paints a text in a style.
Paint = Callable[[str, str], str]

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
    return (lambda text, style: f"\x1b[{_STYLES[style]}m{text}\x1b[0m") if color else plain
