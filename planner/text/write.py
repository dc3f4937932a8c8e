"""The one writer of files: whole or not at all.

The text goes into a temporary file beside the target, is brought to the disk and renamed over it;
whatever fails on the way leaves the old file as it was. The target is where a symbolic link leads,
so links stay links. Only regular files are written: a device or a FIFO has nothing to keep, and a
rename would take its place.
"""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

__all__ = ["FileError", "write_file"]

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class FileError(Exception):
    """A file was not written; what was there before is as it was."""

    def __init__(self, message: str, help_text: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help_text


def write_file(
    path: str | Path,
    text: str,
    *,
    in_the_way: str = "",
    mode: int | None = None,
    durable: bool = True,
) -> None:
    """Write a file, UTF-8, lines as they are.

    :param in_the_way: what to do when there is a file, or a link, of this name; without, it is
        replaced.
    :param mode: permissions; without, those of the file that is there, or what umask leaves.
    :param durable: wait for the disk; a file that is written every second need not.
    :raise FileError: it cannot be written, or is in the way.
    """
    try:
        if in_the_way:
            os.close(os.open(path, _NEW, 0o666))
        try:
            _replace(path, text, mode, durable=durable)
        except BaseException:
            if in_the_way:
                Path(path).unlink(missing_ok=True)
            raise
    except FileExistsError as error:
        raise FileError(f"{path} exists already", in_the_way) from error
    except UnicodeEncodeError as error:
        raise FileError(f"{path} cannot be written: half a surrogate pair is no text") from error
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise FileError(f"{path} cannot be written: {why}") from error


def _replace(path: str | Path, text: str, mode: int | None, *, durable: bool) -> None:
    data = text.encode()
    old = None
    with contextlib.suppress(FileNotFoundError):
        old = Path(path).stat()
    if old and not stat.S_ISREG(old.st_mode):
        kind = _KINDS.get(stat.S_IFMT(old.st_mode), "no regular file")
        raise FileError(f"{path} is {kind}", "name a regular file; - is standard output")
    target = Path(path).resolve()
    # The length of its name does not depend on the target's, which may be as long as names can be.
    temporary = target.parent / f".guestmap-{os.urandom(6).hex()}"
    with os.fdopen(os.open(temporary, _NEW, 0o666), "wb") as file:
        try:
            if old and mode is None:
                # Root keeps the owner; who else may write the file becomes it.
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
                mode = stat.S_IMODE(old.st_mode)
            if mode is not None:
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            if durable:
                os.fsync(file.fileno())
            temporary.replace(target)
        except BaseException:
            temporary.unlink()
            raise
    if durable:
        _sync_folder(target.parent)


def _sync_folder(folder: Path) -> None:
    """Bring the new name to the disk; the file is whole under either name if that cannot be."""
    with contextlib.suppress(OSError):
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
