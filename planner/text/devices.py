"""The names of host devices: PCI addresses, short or full, and platform devices."""

from __future__ import annotations

import re

from planner.text.words import shown

__all__ = ["normalise_device"]

_PCI = re.compile(r"(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([01][0-9a-fA-F])\.([0-7])\Z")
#: Whatever is made of the characters of a PCI address only is meant as one.
_PCI_LIKE = re.compile(r"[0-9a-fA-F]{1,8}:[0-9a-fA-F:.]*\Z|[0-9a-fA-F]{1,2}\.[0-9a-fA-F]\Z")
_PLATFORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@+,-]{0,127}\Z")


def normalise_device(text: str) -> str:
    """Return a PCI address in full lower case, ``29:00.0`` as ``0000:29:00.0``; other names as is.

    :raise ValueError: the text is neither a PCI address nor a device name; the message says why.
    """
    match = _PCI.match(text)
    if match:
        domain, bus, slot, function = match.groups()
        return f"{domain or '0000'}:{bus}:{slot}.{function}".lower()
    if _PCI_LIKE.match(text):
        raise ValueError(_why_no_pci(text))
    if not _PLATFORM.match(text):
        raise ValueError(f"{shown(text)} is neither a PCI address nor the name of a device")
    return text


def _why_no_pci(text: str) -> str:
    body, dot, function = text.rpartition(".")
    if not dot and text.count(":") < 3:
        return f"{shown(text)} lacks the function of a PCI address, as in '{text[:12]}.0'"
    if not re.fullmatch(r"[0-7]", function):
        return f"{shown(text)} has function '{function[:8]}'; a PCI function is 0 to 7"
    parts = body.split(":")
    if len(parts) in (2, 3) and re.fullmatch(r"[0-9a-fA-F]{2}", parts[-1]):
        if int(parts[-1], 16) > 0x1F:
            return f"{shown(text)} has slot '{parts[-1]}'; a PCI slot is 00 to 1f"
        if len(parts) == 3 and len(parts[0]) < 4:
            return f"{shown(text)} has domain '{parts[0]}'; a PCI domain has four digits"
    return f"{shown(text)} is not a PCI address"
