"""Every option that more than one command takes: one name, one type, one help text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from functools import partial, wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from planner.cli import complete
from planner.host.profile import Scope

if TYPE_CHECKING:
    from qmp_glue.addresses import MonitorAddress

__all__ = [
    "Parsed",
    "agent",
    "as_one",
    "color",
    "device",
    "host",
    "hosts",
    "json",
    "judging",
    "model",
    "monitor",
    "no_reserve",
    "output",
    "plan_file",
    "qmp",
    "scope",
    "words",
]

_F = TypeVar("_F", bound=Callable[..., Any])
_Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Parsed(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.2 only
    """A word as a function reads it; what the function raises is a usage error of the option."""

    def __init__(self, name: str, parse: Callable[[str], object]) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a word; the error keeps the function's words."""
        try:
            return self._parse(value)
        except ValueError as error:
            return self.fail(str(error), param, ctx)


def _device(text: str) -> str:
    from planner.text.pci import device_name  # noqa: PLC0415  # not for --help

    return device_name(text)


def _monitor(text: str, *, reading: bool) -> MonitorAddress:
    from qmp_glue.addresses import parse_monitor  # noqa: PLC0415  # not for --help

    return parse_monitor(text, reading=reading)


def _group(*options: _Decorator) -> _Decorator:
    """Make one decorator of several, listed in the order of the help."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            function = option(function)
        return function

    return decorate


def as_one(name: str, kind: type[Any], *options: _Decorator) -> _Decorator:
    """Make one decorator of several, whose values come as one argument *name* of a dataclass."""
    names = {field.name for field in fields(kind)}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(**values: Any) -> Any:
            own = {key: values.pop(key) for key in list(values) if key in names}
            return function(**values, **{name: kind(**own)})

        return _group(*options)(call)

    return decorate


json = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead of text."
)


def _wants_color(_ctx: click.Context, _param: click.Parameter, choice: str) -> bool:
    from planner.cli.output import wants_color  # noqa: PLC0415  # it imports the rest of the house

    return wants_color(choice)


color = click.option(
    "--color",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    callback=_wants_color,
    help="Colour the output; auto means on a terminal. NO_COLOR and FORCE_COLOR are honoured.",
)

_FACTS = "Host profile, pasted dump or sysfs tree"


def hosts(default: str) -> Callable[[_F], _F]:
    """``--host``, as often as there are hosts; *default* says whose facts count without."""
    return click.option(
        "--host",
        "hosts",
        multiple=True,
        metavar="PROFILE",
        shell_complete=complete.files,
        help=f"{_FACTS}; repeatable. Default: {default}.",
    )


def host(default: str | None = None) -> Callable[[_F], _F]:
    """``--host`` where only one host can be meant."""
    return click.option(
        "--host",
        default=default,
        metavar="PROFILE",
        shell_complete=complete.files,
        help=f"{_FACTS}. Default: this host.",
    )


device = click.option(
    "--device",
    "devices",
    multiple=True,
    metavar="BDF",
    type=Parsed("device", _device),
    callback=lambda _ctx, _param, value: tuple(dict.fromkeys(value)),
    shell_complete=complete.devices,
    help="A host device that is to be assigned; repeatable.",
)


def scope(unset: str = "", default: str | None = None) -> Callable[[_F], _F]:
    """``--scope``; *unset* says what counts without it."""
    return click.option(
        "--scope",
        type=click.Choice([scope.value for scope in Scope]),
        default=default,
        show_default=True,
        callback=lambda _ctx, _param, value: value and Scope(value),
        help="Groups that bind: those of assigned devices, or every group of the host."
        + (f" Default: {unset}." if unset else ""),
    )


def judging(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--host``, ``--scope``, ``--steer`` and ``--elsewhere``: by what a hotplug is judged.

    Memory must suit every host; a host device is looked up on the first.
    """
    steer = click.option(
        "--steer/--no-steer",
        default=True,
        help="Choose a safe address where QEMU's own would collide; or refuse.",
    )
    elsewhere = click.option(
        "--elsewhere",
        is_flag=True,
        help="QEMU runs where its process is not seen: take the devices it names for all it has.",
    )
    return _group(hosts("this host"), scope(default=Scope.ASSIGNED.value), steer, elsewhere)(
        function
    )


#: Where a monitor is, to be connected to or listened at.
monitor = Parsed("address", partial(_monitor, reading=False))


def qmp(*alias: str, required: bool = False, reading: bool = True) -> Callable[[_F], _F]:
    """``--qmp``, and by an older name: a running QEMU; where it is only read, libvirt's too."""
    return click.option(
        "--qmp",
        *alias,
        "qmp",
        required=required,
        type=Parsed("address", partial(_monitor, reading=True)) if reading else monitor,
        metavar="ADDR",
        shell_complete=complete.monitors,
        help="The monitor of a running QEMU: unix:PATH, HOST:PORT; only to read, libvirt:NAME.",
    )


agent = click.option(
    "--agent",
    type=monitor,
    metavar="SOCKET",
    shell_complete=complete.monitors,
    help="The socket of the guest's agent (qemu-ga): ask the guest itself.",
)
model = click.option(
    "--model", is_flag=True, help="Take the map from the machine tables; start no QEMU."
)
no_reserve = click.option(
    "--no-reserve",
    is_flag=True,
    help="Take memory from the host only when it is used: for trying a large plan.",
)


def words(name: str = "words", *, required: bool = False) -> Callable[[_F], _F]:
    """``-- QEMU ARGS...``: a QEMU command line, its words untouched."""
    return click.argument(
        name,
        nargs=-1,
        required=required,
        metavar="-- QEMU ARGS..." if required else "[-- QEMU ARGS...]",
        type=click.UNPROCESSED,
        shell_complete=complete.files,
    )


def plan_file(name: str = "plan") -> Callable[[_F], _F]:
    """Add the argument that is a file to read; ``-`` is standard input."""
    return click.argument(
        name,
        type=click.Path(dir_okay=False, allow_dash=True),
        shell_complete=complete.files,
    )


def output(what: str) -> Callable[[_F], _F]:
    """``-o``: where *what* goes."""
    return click.option(
        "-o",
        "--output",
        metavar="FILE",
        shell_complete=complete.files,
        help=f"Write {what}; - is standard output.",
    )
