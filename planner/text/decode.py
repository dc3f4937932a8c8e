"""The bytes of a file as text whose lines and columns an editor counts alike."""

from __future__ import annotations

import re

from planner.region import Loc
from planner.text.collect import Collector

__all__ = ["decode", "loc_at", "unix"]

#: What YAML calls printable, less what editors do not show as YAML reads it: NEL, LS and PS (line
#: breaks to YAML 1.1 only), a BOM inside the text, and the marks that reverse the order of display.
_UNFIT = re.compile(
    "[^\t\n\x20-\x7e\xa0-\u2027\u202f-\u2065\u206a-\ud7ff\ue000-\ufefe\uff00-\ufffd"
    "\U00010000-\U0010ffff]"
)
_BOMS = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\x00\x00\xfe\xff", "UTF-32"))


def decode(data: bytes, found: Collector) -> str | None:
    """Decode UTF-8, drop a BOM, make line ends alike; report what YAML cannot hold (MM102)."""
    for bom, name in _BOMS:
        if data.startswith(bom):
            found.report(
                "MM102", Loc(found.file, 1, 1), f"the file is {name} text", help="save it as UTF-8"
            )
            return None
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        found.report(
            "MM102",
            loc_at(unix(before), len(unix(before)), found.file),
            f"byte {data[error.start]:#04x} is not UTF-8 text",
            help="save the file as UTF-8",
        )
        return None
    text = unix(text)
    match = _UNFIT.search(text)
    if match:
        name = f"U+{ord(match[0]):04X}"
        sentence = {
            "\x00": "a NUL byte stands in the text; the file may be binary or UTF-16",
            "\x85": f"{name} is a line break to YAML and to no editor",
            "\u2028": f"{name} is a line break to YAML and to no editor",
            "\u2029": f"{name} is a line break to YAML and to no editor",
        }.get(match[0], f"the invisible character {name} stands in the text")
        found.report(
            "MM102",
            loc_at(text, match.start(), found.file),
            sentence,
            help="remove the character",
        )
        return None
    return text


def unix(text: str) -> str:
    """Make line ends alike."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def loc_at(text: str, index: int, file: str) -> Loc:
    """Return the place of a character by its index."""
    line_start = text.rfind("\n", 0, index) + 1
    return Loc(file, text.count("\n", 0, index) + 1, index - line_start + 1)
