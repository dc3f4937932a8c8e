"""What each style of box means in legends, and how it looks in text."""

from __future__ import annotations

from typing import NamedTuple

from planner.draw.scene import Style

__all__ = ["CLASH", "CLASH_WORD", "FREE", "LOOKS", "Look"]


class Look(NamedTuple):
    """A style in words and in text."""

    #: For legends.
    words: str
    #: For legends of the short picture.
    short: str
    mark: str
    ascii: str
    #: Style of the painter.
    paint: str

    def sign(self, *, ascii_only: bool) -> str:
        """Return the mark, or the one of ASCII."""
        return self.ascii if ascii_only else self.mark


LOOKS = {
    Style.RAM: Look("guest memory", "memory", "█", "#", "ram"),
    Style.ROM: Look("guest ROM, mapped like memory", "ROM", "▓", "%", "rom"),
    Style.IO: Look("emulated registers", "machine", "·", ".", "io"),
    Style.WINDOW: Look("window, filled later", "window", "░", ":", "window"),
    Style.DOORBELL: Look("MSI doorbell", "doorbell", "◆", "*", "doorbell"),
    Style.HOLE: Look("forbidden by a host", "forbidden", "▒", "x", "hole"),
    Style.ADVICE: Look("advisory, binds nothing", "advisory", "┊", "?", "dim"),
    Style.USABLE: Look("usable", "usable", "│", "|", "dim"),
}
CLASH_WORD = "collision"
CLASH = Look(CLASH_WORD, "memory over a forbidden range", "✖", "!", "clash")
FREE = Look("free", "free", " ", " ", "dim")
