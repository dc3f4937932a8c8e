"""Where the guard listens and where QEMU is: unix sockets, host:port, inherited descriptors."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Address", "AddressError", "connect", "listen", "listen_fds"]

#: Clients that may wait for their turn; the kernel refuses more.
_BACKLOG: Final = 16
#: First descriptor of systemd's socket activation (sd_listen_fds(3)).
_LISTEN_FDS_START: Final = 3
_HOST_PORT = re.compile(r"(?P<host>[\w.-]*|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})")


class AddressError(Exception):
    """The address cannot be used; the message names it and says why."""

    def __init__(self, message: str, help_text: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help_text


@dataclass(frozen=True, slots=True)
class Address:
    """A place to connect to or listen at; exactly one of *path*, *port*, *fd* is given."""

    path: str = ""
    host: str = ""
    port: int | None = None
    fd: int | None = None

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read ``unix:PATH``, ``PATH`` with a slash, ``tcp:HOST:PORT``, ``HOST:PORT``, ``fd:N``.

        :raise AddressError: the text is none of these.
        """
        if text.startswith("fd:") and text[3:].isdigit():
            return cls(fd=int(text[3:]))
        if text.startswith("unix:") and len(text) > 5:
            return cls(path=text[5:])
        found = _HOST_PORT.fullmatch(text.removeprefix("tcp:"))
        if found and int(found["port"]) < 1 << 16:
            return cls(host=found["host"].strip("[]") or "localhost", port=int(found["port"]))
        if "/" in text:
            return cls(path=text)
        raise AddressError(
            f"'{text}' is not an address", "write unix:PATH, a path with a slash, HOST:PORT or fd:N"
        )

    def __str__(self) -> str:
        if self.path:
            return f"unix:{self.path}"
        return f"fd:{self.fd}" if self.fd is not None else f"{self.host}:{self.port}"


def connect(address: Address) -> socket.socket:
    """Connect to QEMU.

    :raise AddressError: nobody is there, or may be reached.
    """
    try:
        if address.fd is not None:
            return socket.socket(fileno=address.fd)
        if address.path:
            sock = socket.socket(socket.AF_UNIX)
            try:
                # A full backlog would block for ever; QEMU's is 1.
                sock.settimeout(5.0)
                sock.connect(address.path)
            except BaseException:
                sock.close()
                raise
            return sock
        sock = socket.create_connection((address.host, address.port), timeout=5.0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as exc:
        raise AddressError(
            f"cannot reach QEMU at {address}: {exc.strerror or exc}",
            "start QEMU with -qmp unix:PATH,server=on,wait=off, and name that PATH",
        ) from exc
    return sock


def listen(address: Address, *, mode: int = 0o600) -> socket.socket:
    """Listen for clients. A unix socket is made with *mode*, in a directory only the owner writes.

    A socket that nobody listens at any more is replaced.

    :raise AddressError: the place is taken, or others could replace the socket.
    """
    if address.fd is not None:
        return socket.socket(fileno=address.fd)
    if not address.path:
        try:
            return socket.create_server((address.host, address.port or 0), backlog=_BACKLOG)
        except OSError as exc:
            raise AddressError(f"cannot listen at {address}: {exc.strerror or exc}") from exc
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
        raise AddressError(f"cannot listen at {address}: {exc.strerror or exc}") from exc
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
        raise AddressError(
            f"cannot use directory {directory}: {exc.strerror or exc}",
            "name a socket in a directory that exists or can be made",
        ) from exc
    if facts.st_uid != os.geteuid() or stat.S_IMODE(facts.st_mode) & 0o022:
        raise AddressError(
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
        raise AddressError(f"{path} exists and is not a socket")
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
    raise AddressError(f"somebody listens at {path} already")


def listen_fds() -> list[int]:
    """Return the descriptors systemd passed to this process (sd_listen_fds(3)), and forget them."""
    pid = os.environ.pop("LISTEN_PID", "")
    count = os.environ.pop("LISTEN_FDS", "")
    os.environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdigit():
        return []
    fds = list(range(_LISTEN_FDS_START, _LISTEN_FDS_START + int(count)))
    for fd in fds:
        os.set_inheritable(fd, False)
    return fds
