"""One door for a host's facts: a sysfs tree, a profile file, or a pasted dump."""

from __future__ import annotations

from pathlib import Path

from planner.host.dump import looks_like_dump, parse_dump
from planner.host.profile import HostProfile
from planner.host.sysfs import HostUnreadableError, read_sysfs
from planner.text.read import read_file

__all__ = ["HostUnreadableError", "read_host", "read_profile_bytes"]


def read_host(path: str | Path = "/sys") -> HostProfile:
    """Read a host's facts from a folder (a sysfs tree) or a file (a profile or a pasted dump).

    What is wrong with the content becomes the profile's findings.

    :raise HostUnreadableError: there is nothing at *path* to read.
    """
    place = Path(path)
    if place.is_dir():
        return read_sysfs(place)
    try:
        data = read_file(str(place))
    except OSError as error:
        raise HostUnreadableError(f"{path} cannot be read: {error.strerror}") from error
    return read_profile_bytes(data, str(path))


def read_profile_bytes(data: bytes, file: str) -> HostProfile:
    """Read the bytes of a profile file or a pasted dump.

    :param file: how findings name the file; the host of a dump is named after it.
    """
    if looks_like_dump(data[:4096].decode("utf-8", errors="replace")):
        return parse_dump(data, file, Path(file).stem)
    from planner.host.profile_file import parse_profile  # noqa: PLC0415  # imports yaml

    return parse_profile(data, file)
