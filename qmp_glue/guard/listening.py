"""Where the guard listens: unix sockets, host:port, inherited descriptors."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from typing import Final

from qmp_glue.addresses import MonitorAddress
from qmp_glue.errors import ListenError
from qmp_glue.guard.stored import PREFIX

__all__ = ["listen", "listen_at", "listen_fds"]

#: Clients that may wait for their turn; the kernel refuses more.
_BACKLOG: Final = 16
#: First descriptor of systemd's socket activation (sd_listen_fds(3)).
_LISTEN_FDS_START: Final = 3


def listen(address: MonitorAddress, *, mode: int = 0o600) -> socket.socket:
    """Listen for clients. A unix socket is made with *mode*, in a directory only the owner writes.

    A socket that nobody listens at any more is replaced.

    :raise ListenError: the place is taken, or others could replace the socket.
    """
    if address.fd is not None:
        return socket.socket(fileno=address.fd)
    if not address.path:
        try:
            return socket.create_server((address.host, address.port or 0), backlog=_BACKLOG)
        except OSError as exc:
            raise ListenError(f"cannot listen at {address}: {exc.strerror or exc}") from exc
    path = Path(address.path)
    _own_directory(path.parent)
    _clear_stale(path)
    sock = socket.socket(socket.AF_UNIX)
    previous = os.umask(0o777 & ~mode)
    try:
        sock.bind(str(path))
        sock.listen(_BACKLOG)
    except OSError as exc:
        sock.close()
        raise ListenError(f"cannot listen at {address}: {exc.strerror or exc}") from exc
    finally:
        os.umask(previous)
    return sock


def _own_directory(directory: Path) -> None:
    """Make the directory 0700 when it is not there; refuse one that others write."""
    try:
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
        facts = directory.stat()
    except OSError as exc:
        raise ListenError(
            f"cannot use directory {directory}: {exc.strerror or exc}",
            "name a socket in a directory that exists or can be made",
        ) from exc
    if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o022:
        raise ListenError(
            f"directory {directory} belongs to or is writable by others, who could put their own "
            "socket in the place of the guard's",
            "listen in a directory of your own, such as $XDG_RUNTIME_DIR or /run/guestmap-guard",
        )


def _clear_stale(path: Path) -> None:
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(facts.st_mode):
        raise ListenError(f"{path} exists and is not a socket")
    probe = socket.socket(socket.AF_UNIX)
    probe.settimeout(1.0)
    with probe:
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError:
            # Busy or not ours to ask: somebody is there.
            pass
    raise ListenError(f"somebody listens at {path} already")


def listen_fds() -> tuple[list[int], dict[str, int]]:
    """Return the descriptors systemd passed to this process (sd_listen_fds(3)), and forget them.

    :return: sockets to listen at, and by name what it kept for the guard before this one.
    """
    pid = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    names = os.environ.pop("LISTEN_FDNAMES", "").split(":")
    if pid != str(os.getpid()) or not count.isdigit():
        return [], {}
    listening: list[int] = []
    stored: dict[str, int] = {}
    for at in range(int(count)):
        fd = _LISTEN_FDS_START + at
        os.set_inheritable(fd, False)
        if at < len(names) and names[at].startswith(PREFIX):
            stored[names[at]] = fd
        else:
            listening.append(fd)
    return listening, stored


def listen_at(
    place: MonitorAddress | None, passed: tuple[int, ...], mode: int = 0o600
) -> socket.socket:
    """Listen where the guard is told to: at *place*, or at the one socket systemd *passed*.

    :raise ListenError: as :func:`listen`, or systemd passed more than one.
    """
    if len(passed) > 1:
        raise ListenError(
            f"systemd passed {len(passed)} sockets; the guard takes one",
            "leave one ListenStream= in the socket unit",
        )
    if passed:
        return socket.socket(fileno=passed[0])
    assert place is not None
    return listen(place, mode=mode)
