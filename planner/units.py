"""The spellings of addresses and sizes that people and QEMU use.

One grammar for layouts, options and messages: hexadecimal with optional ``_`` between digits, or
decimal with an optional binary unit. ``KB``/``MB``/``GB`` are refused, because libvirt reads them
as powers of ten and QEMU's users as powers of two; a leading zero is refused, because YAML 1.1, 1.2
and C disagree about it.
"""

from __future__ import annotations

import re

from planner.span import ADDRESS_LIMIT, Span

__all__ = [
    "PAGE_SIZES",
    "UnitError",
    "parse_address",
    "parse_page_size",
    "parse_size",
    "show_size",
    "show_span",
]

_HEX = re.compile(r"0x[0-9a-fA-F]+(_[0-9a-fA-F]+)*\Z")
_DEC = re.compile(r"(0|[1-9][0-9]*(?:_[0-9]+)*) ?([A-Za-z]*)\Z")
_UNITS = {"": 0, "B": 0}
_UNITS |= {unit: 10 * power for power, unit in enumerate("KMGTPE", 1)}
_UNITS |= {f"{unit}iB": 10 * power for power, unit in enumerate("KMGTPE", 1)}
_DECIMAL = {f"{unit}B": power for power, unit in enumerate("KMGTPE", 1)}
#: Longer spellings cannot name a 64-bit number; the cap keeps int() from quadratic work.
_MAX_CHARS = 40


class UnitError(ValueError):
    """The text is not an address or size; the message says why and what to write instead."""


def parse_size(text: str) -> int:
    """Read a size: ``0x40000000``, ``4096``, ``512MiB``, ``4G``.

    :return: bytes, from 0 to 2**64.
    :raise UnitError: with the reason and the nearest spelling that is accepted.
    """
    if len(text) > _MAX_CHARS:
        raise UnitError(f"'{text[:12]}…' has {len(text)} characters, more than any 64-bit number")
    if text[:2] == "0X":
        raise UnitError(f"'{text}' has a capital X; write 0x{text[2:].lower()}")
    value = int(text.replace("_", ""), 16) if _HEX.match(text) else _parse_decimal(text)
    if value > ADDRESS_LIMIT:
        raise UnitError(f"'{text}' is past the 64-bit address space")
    return value


def _parse_decimal(text: str) -> int:
    match = _DEC.match(text)
    if not match:
        raise UnitError(_why_not(text))
    number, unit = int(match[1].replace("_", "")), match[2]
    if unit in _UNITS:
        return number << _UNITS[unit]
    if unit in _DECIMAL:
        power = _DECIMAL[unit]
        raise UnitError(
            f"'{text}' is ambiguous; write {number}{unit[0]}iB ({number << 10 * power} bytes)"
            f" or {number * 1000**power} (bytes)"
        )
    near = next((known for known in _UNITS if known and known.lower() == unit.lower()), None)
    if near:
        raise UnitError(f"'{text}' has an unknown unit; write {number}{near}")
    raise UnitError(f"'{text}' has an unknown unit '{unit}'; use KiB, MiB, GiB or TiB")


def _why_not(text: str) -> str:
    if not text:
        return "the number is empty"
    if text.startswith("-"):
        return f"'{text}' is negative"
    if re.match(r"0[0-9_]|0o", text):
        return (
            f"'{text}' has a leading zero, which YAML 1.1 and 1.2 read differently;"
            " write 0x… or plain decimal"
        )
    if re.match(r"[0-9]+\.[0-9]+", text):
        return f"'{text}' is a fraction; write whole bytes or a smaller unit"
    if text.startswith("0x"):
        return f"'{text}' is not hexadecimal; write 0x and digits, single _ between them at most"
    return f"'{text}' is not a number; write 0x40000000, 4096, 512MiB or 4GiB"


def parse_address(text: str) -> int:
    """Read an address: the grammar of :func:`parse_size`, below 2**64.

    :raise UnitError: with the reason.
    """
    value = parse_size(text)
    if value >= ADDRESS_LIMIT:
        raise UnitError(f"'{text}' is past the last 64-bit address")
    return value


#: Of Linux hosts, in bytes (arch/arm64/Kconfig ARM64_4K_PAGES to ARM64_64K_PAGES; x86 has 4 KiB).
PAGE_SIZES = (4096, 16384, 65536)


def parse_page_size(text: str) -> int:
    """Read the page size of a host's kernel, in bytes.

    :raise UnitError: with the reason.
    """
    size = parse_size(text)
    if size not in PAGE_SIZES:
        raise UnitError(f"'{text}' is no page size of Linux; pages have 4KiB, 16KiB or 64KiB")
    return size


def show_size(size_bytes: int) -> str:
    """Write a size exactly, in the largest unit that keeps it short.

    >>> show_size(3054 << 20), show_size(3 << 29), show_size(4095), show_size(1 << 40)
    ('3054 MiB', '1.5 GiB', '4095 bytes', '1 TiB')
    """
    for power, unit in (
        (60, "EiB"),
        (50, "PiB"),
        (40, "TiB"),
        (30, "GiB"),
        (20, "MiB"),
        (10, "KiB"),
    ):
        if size_bytes >= 1 << power and size_bytes % (1 << power) == 0:
            return f"{size_bytes >> power} {unit}"
        # One half is exact and still short: 1.5 GiB, 2.5 TiB.
        if size_bytes > 1 << power and size_bytes % (1 << power - 1) == 0:
            return f"{size_bytes >> power}.5 {unit}"
    return "1 byte" if size_bytes == 1 else f"{size_bytes} bytes"


def show_span(span: Span) -> str:
    """Write a range as messages do: ``[0xfee00000-0xfeefffff]``, both ends included."""
    return f"[{span}]"
