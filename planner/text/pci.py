"""The names of host devices: PCI addresses as people write them and as sysfs does.

Taken is what QEMU takes for ``host=``: hexadecimal domain (0 when absent), bus and slot, short or
full, in either case, and a function from 0 to 7 (hw/core/qdev-properties-system.c
``set_pci_host_devaddr()``, 7.2 to 11.1). The canonical form is the kernel's, ``%04x:%02x:%02x.%d``
(drivers/pci/probe.c ``pci_setup_device()``, 6.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from planner.text.words import shown

__all__ = ["PCI_SCHEMA", "PLATFORM_SCHEMA", "device_name", "find_pci", "parse_pci"]

#: Of both kinds of name, in the syntax JSON Schema shares with Python.
PCI_SCHEMA = r"^([0-9a-fA-F]{1,8}:)?[0-9a-fA-F]{1,2}:[01]?[0-9a-fA-F]\.[0-7]$"
#: Whatever is made of the characters of a PCI address only is meant as one.
_PCI_LIKE = r"[0-9a-fA-F]+:[0-9a-fA-F:.]*$|[0-9a-fA-F]{1,2}\.[0-9a-fA-F]$"
PLATFORM_SCHEMA = rf"^(?!{_PCI_LIKE})[A-Za-z0-9][A-Za-z0-9_.:@+,-]{{0,127}}$"

#: In running text only the forms that programs print.
_PRINTED = re.compile(r"\b(?:[0-9a-fA-F]{4,8}:)?[0-9a-fA-F]{2}:[01][0-9a-fA-F]\.[0-7]\b")


def parse_pci(text: str) -> str | None:
    """Return a PCI address as sysfs names it, ``1:0.0`` as ``0000:01:00.0``; None for other text.

    >>> parse_pci("C1:1f.7"), parse_pci("10000:e1:0.0"), parse_pci("c1:20.0")
    ('0000:c1:1f.7', '10000:e1:00.0', None)
    """
    if not re.fullmatch(PCI_SCHEMA[1:-1], text):
        return None
    body, function = text.split(".")
    *domain, bus, slot = (int(part, 16) for part in body.split(":"))
    return f"{domain[0] if domain else 0:04x}:{bus:02x}:{slot:02x}.{function}"


def device_name(text: str) -> str:
    """Return a PCI address as sysfs names it, and the name of any other device as it is.

    :raise ValueError: the text is neither a PCI address nor a device name; the message says why.
    """
    name = parse_pci(text)
    if name is None and re.match(_PCI_LIKE, text):
        raise ValueError(_why_no_pci(text))
    if name is None and not re.fullmatch(PLATFORM_SCHEMA[1:-1], text):
        raise ValueError(f"{shown(text)} is neither a PCI address nor the name of a device")
    return name or text


def find_pci(text: str) -> Iterator[str]:
    """Yield the PCI addresses in running text, as sysfs names them."""
    for match in _PRINTED.finditer(text):
        yield parse_pci(match[0]) or match[0]


def _why_no_pci(text: str) -> str:
    body, dot, function = text.rpartition(".")
    if not dot and text.count(":") < 3:
        return f"{shown(text)} lacks the function of a PCI address, as in '{text[:12]}.0'"
    if not re.fullmatch(r"[0-7]", function):
        return f"{shown(text)} has function '{function[:8]}'; a PCI function is 0 to 7"
    parts = body.split(":")
    if len(parts) in (2, 3) and all(re.fullmatch(r"[0-9a-fA-F]{1,8}", part) for part in parts):
        if int(parts[-1], 16) > 0x1F:
            return f"{shown(text)} has slot '{parts[-1]}'; a PCI slot is 00 to 1f"
        if int(parts[-2], 16) > 0xFF:
            return f"{shown(text)} has bus '{parts[-2]}'; a PCI bus is 00 to ff"
    return f"{shown(text)} is not a PCI address"
