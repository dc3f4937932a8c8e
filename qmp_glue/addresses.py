"""Where a monitor is: the one grammar of monitor addresses, and the way there.

QEMU's spelling (util/qemu-sockets.c ``socket_parse()`` and chardev/char.c
``qemu_chr_parse_compat()``, QEMU 7.2), and ``libvirt:NAME`` for a monitor that libvirt holds.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from typing import Final

from planner.argv.keyval import split_commas
from qmp_glue.errors import SilentError, UnreachableError

__all__ = ["MonitorAddress", "connect", "parse_monitor"]

#: How long a connection may take, in seconds.
_CONNECT_SECONDS: Final = 5.0
_HOST_PORT = re.compile(r"(?P<host>[\w.-]*|\[[0-9a-fA-F:.]+\]):(?P<port>[0-9]{1,5})")
#: What may follow a place on QEMU's command line and says nothing about where it is.
_ROLE = re.compile(r"(?:server|wait|nodelay)(?:=(?:on|off))?|nowait")
_SPELLINGS: Final = "unix:PATH, a path with a slash, HOST:PORT or fd:N"


@dataclass(frozen=True, slots=True)
class MonitorAddress:
    """A place to connect to or listen at; exactly one of *path*, *port*, *fd*, *domain* is given.

    >>> str(parse_monitor("unix:vm.sock,server=on,wait=off"))
    'unix:vm.sock'
    """

    path: str = ""
    host: str = ""
    port: int | None = None
    fd: int | None = None
    #: A libvirt domain; such a monitor is only read.
    domain: str = ""

    def __str__(self) -> str:
        if self.domain:
            return f"libvirt:{self.domain}"
        if self.path:
            return f"unix:{self.path.replace(',', ',,')}"
        if self.fd is not None:
            return f"fd:{self.fd}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_monitor(text: str, *, reading: bool = False) -> MonitorAddress:
    """Read an address.

    :param reading: whether QEMU is only read there: then the monitor may be libvirt's.
    :raise ValueError: it is none, or libvirt's although QEMU is not only read.
    """
    kind, colon, rest = text.partition(":")
    if kind == "libvirt" and colon:
        if not rest or not rest.isprintable():
            raise ValueError("libvirt: needs the name of a domain")
        if not reading:
            raise ValueError(
                f"'{text}' is a monitor that libvirt holds: QEMU is only read there, and nothing"
                f" is changed behind libvirt's back; write {_SPELLINGS}"
            )
        return MonitorAddress(domain=rest)
    if kind == "fd" and re.fullmatch(r"[0-9]{1,9}", rest):
        return MonitorAddress(fd=int(rest))
    if kind == "unix" and colon:
        path = _place(rest)
        if not path or "\0" in path:
            raise ValueError("unix: needs the path of a socket")
        return MonitorAddress(path=path)
    if "/" in text and kind != "tcp":
        return MonitorAddress(path=text)
    found = _HOST_PORT.fullmatch(_place(rest if kind == "tcp" and colon else text))
    if found and int(found["port"]) < 1 << 16:
        return MonitorAddress(
            host=found["host"].strip("[]") or "localhost", port=int(found["port"])
        )
    also = ", or libvirt:NAME" if reading else ""
    raise ValueError(f"'{text}' is not an address; write {_SPELLINGS}{also}")


def _place(text: str) -> str:
    """Cut off what a command line says about the socket's role; a doubled comma is a comma.

    :raise ValueError: an option that is none of these: it may say where the socket is.
    """
    place, *options = split_commas(text)
    for option in options:
        if not _ROLE.fullmatch(option):
            raise ValueError(
                f"'{option}' is not understood behind a unix: or tcp: address; only server, wait"
                " and nodelay are"
            )
    return place


def connect(address: MonitorAddress) -> socket.socket:
    """Connect to QEMU; the socket blocks, with a time limit.

    :raise UnreachableError: nobody is there, or may be reached.
    :raise SilentError: somebody is there and does not take the connection.
    """
    try:
        if address.fd is not None:
            return socket.socket(fileno=address.fd)
        if not address.path:
            place = (address.host, address.port or 0)
            sock = socket.create_connection(place, timeout=_CONNECT_SECONDS)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        sock = socket.socket(socket.AF_UNIX)
        try:
            # With a limit, a full backlog (QEMU's is 1) is EAGAIN and not waited for.
            sock.settimeout(_CONNECT_SECONDS)
            sock.connect(address.path)
        except BaseException:
            sock.close()
            raise
    except (TimeoutError, BlockingIOError):
        raise SilentError(
            f"{address}: nobody takes the connection",
            "a monitor serves one client at a time: another one may hold it",
        ) from None
    except OSError as exc:
        raise UnreachableError(
            f"cannot reach QEMU at {address}: {exc.strerror or exc}",
            "is QEMU running with -qmp unix:PATH,server=on,wait=off and that PATH, and may this"
            " user open it?",
        ) from exc
    return sock
