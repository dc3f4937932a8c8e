"""The cpio archive the kernel unpacks before anything runs (format "newc").

The format is in the kernel's Documentation/driver-api/early-userspace/buffer-format.rst: a header
of ``070701`` and thirteen eight-digit hex numbers, the name with a final NUL, the data, each padded
to four bytes.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["Archive"]

_DIRECTORY, _FILE, _LINK = 0o040755, 0o100000, 0o120777


class Archive:
    """An archive under construction; the same calls give the same bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._names: set[str] = set()

    def directory(self, name: str) -> None:
        """Add a directory and those above it, once."""
        if name in ("", ".") or name in self._names:
            return
        self.directory(str(Path(name).parent))
        self._add(name, _DIRECTORY, b"")

    def file(self, name: str, data: bytes, *, executable: bool = False) -> None:
        """Add a file; a name that is there already is kept as it is."""
        if name in self._names:
            return
        self.directory(str(Path(name).parent))
        self._add(name, _FILE | (0o755 if executable else 0o644), data)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        if name in self._names:
            return
        self.directory(str(Path(name).parent))
        self._add(name, _LINK, target.encode())

    def finish(self) -> bytes:
        """Return the archive."""
        parts = [*self._parts, _member(0, "TRAILER!!!", 0, b"")]
        return b"".join(parts)

    def _add(self, name: str, mode: int, data: bytes) -> None:
        self._names.add(name)
        self._parts.append(_member(len(self._names), name, mode, data))


def _member(number: int, name: str, mode: int, data: bytes) -> bytes:
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(encoded), 0)
    header = b"070701" + b"".join(b"%08X" % value for value in fields) + encoded
    return _padded(header) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
