"""Where a monitor is: one grammar for all commands, QEMU's own where it has one."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from kit import cli_runner

from planner.cli import group
from qmp_glue.addresses import MonitorAddress, connect, parse_monitor
from qmp_glue.errors import SilentError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/vm.sock", MonitorAddress(path="/run/vm.sock")),
        ("unix:vm.sock,server=on,wait=off", MonitorAddress(path="vm.sock")),
        ("unix:vm.sock,server,nowait", MonitorAddress(path="vm.sock")),
        ("unix:a,,b.sock,server=on", MonitorAddress(path="a,b.sock")),
        ("/run/vm.sock", MonitorAddress(path="/run/vm.sock")),
        ("./vm.sock", MonitorAddress(path="./vm.sock")),
        ("./host:4444", MonitorAddress(path="./host:4444")),
        ("localhost:4444", MonitorAddress(host="localhost", port=4444)),
        ("tcp:10.0.0.1:4444,server", MonitorAddress(host="10.0.0.1", port=4444)),
        (":4444", MonitorAddress(host="localhost", port=4444)),
        ("[::1]:4444", MonitorAddress(host="::1", port=4444)),
        ("fd:5", MonitorAddress(fd=5)),
    ],
)
@pytest.mark.parametrize("reading", [True, False])
def test_addresses_as_qemu_spells_them(text: str, address: MonitorAddress, reading: bool) -> None:
    assert parse_monitor(text, reading=reading) == address
    assert parse_monitor(str(address)) == address


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "'' is not an address; write unix:PATH, a path with a slash, HOST:PORT or fd:N"),
        ("vm", "'vm' is not an address"),
        ("host:port", "'host:port' is not an address"),
        ("host:99999", "'host:99999' is not an address"),
        ("tcp:/run/vm.sock", "'tcp:/run/vm.sock' is not an address"),
        ("fd:x", "'fd:x' is not an address"),
        ("fd:٥", "'fd:٥' is not an address"),
        ("unix:", "unix: needs the path of a socket"),
        ("unix:,server", "unix: needs the path of a socket"),
        ("unix:vm.sock,abstract=on", "'abstract=on' is not understood behind a unix: or tcp:"),
        ("tcp:h:1,to=9", "'to=9' is not understood behind a unix: or tcp: address"),
        ("libvirt:", "libvirt: needs the name of a domain"),
        ("libvirt:a\nb", "libvirt: needs the name of a domain"),
    ],
)
def test_what_is_no_address(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        parse_monitor(text)


def test_a_monitor_of_libvirts_is_only_read() -> None:
    assert parse_monitor("libvirt:web 1", reading=True) == MonitorAddress(domain="web 1")
    # A domain by its id looks like a host and a port.
    assert parse_monitor("libvirt:12", reading=True) == MonitorAddress(domain="12")
    with pytest.raises(ValueError, match="'libvirt:web' is a monitor that libvirt holds"):
        parse_monitor("libvirt:web")


@pytest.mark.parametrize(
    "words",
    [
        ("guard", "--qmp", "libvirt:web", "--listen", "./x"),
        ("guard", "--qmp", "./x", "--listen", "libvirt:web"),
        ("apply", "plan.json", "--qmp", "libvirt:web"),
        ("hotplug", "--qmp", "libvirt:web", "pc-dimm,id=d,memdev=m"),
    ],
)
def test_what_changes_a_guest_refuses_libvirts_monitor(words: tuple[str, ...]) -> None:
    result = cli_runner().invoke(group, words)
    assert result.exit_code == 2
    told = " ".join(result.stderr.split())
    assert "'libvirt:web' is a monitor that libvirt holds: QEMU is only read there" in told


def test_a_full_backlog_is_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "busy"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen(0)
        address = MonitorAddress(path=str(path))
        with connect(address), pytest.raises(SilentError, match="nobody takes the connection"):
            connect(address)
