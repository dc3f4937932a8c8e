"""The part of QMP that the guard plays itself, because QEMU's monitor is negotiated once.

The guard keeps one connection to QEMU while clients come and go, each with its own greeting and
negotiation. The words are those of monitor/qmp.c, monitor/qmp-cmds-control.c and
qapi/qmp-dispatch.c (QEMU 7.2).
"""

from __future__ import annotations

from qmp_glue.guard.values import Json

__all__ = ["NotACommandError", "NotFoundError", "command_name", "is_oob", "negotiate"]


class NotACommandError(ValueError):
    """The value is no command; the message is QEMU's."""


class NotFoundError(ValueError):
    """No such command at this point; the message is QEMU's."""


def is_oob(value: Json) -> bool:
    """Say whether QEMU would run the value out of band, given that the capability is on."""
    return isinstance(value, dict) and "exec-oob" in value and "execute" not in value


def command_name(value: Json, *, oob: bool) -> str:
    """Return the name of the command in *value*.

    :param oob: whether the client has negotiated out-of-band execution.
    :raise NotACommandError: it is none.
    """
    if not isinstance(value, dict):
        raise NotACommandError("QMP input must be a JSON object")
    execute = ""
    # QEMU meets the members in the order of its hash table: exec-oob is before execute.
    for member in sorted(value, key=("exec-oob", "execute").__contains__, reverse=True):
        if member == "execute" or (member == "exec-oob" and oob):
            if not isinstance(value[member], str):
                raise NotACommandError(f"QMP input member '{member}' must be a string")
            execute = execute or member
        elif member == "arguments":
            if not isinstance(value[member], dict):
                raise NotACommandError("QMP input member 'arguments' must be an object")
        elif member != "id":
            raise NotACommandError(f"QMP input member '{member}' is unexpected")
    if "exec-oob" in value and "execute" in value:
        raise NotACommandError("QMP input member 'execute' clashes with 'exec-oob'")
    if not execute:
        raise NotACommandError("QMP input lacks member 'execute'")
    name: str = value[execute]
    return name


def negotiate(value: Json, *, offered: frozenset[str]) -> bool:
    """Judge what a client sent before negotiation was done; return whether it wants oob.

    :raise NotACommandError: the value or its arguments are wrong.
    :raise NotFoundError: a command other than qmp_capabilities.
    """
    if command_name(value, oob=False) != "qmp_capabilities":
        raise NotFoundError("Expecting capabilities negotiation with 'qmp_capabilities'")
    arguments = value.get("arguments", {})
    wanted = arguments.get("enable", [])
    if not isinstance(wanted, list):
        raise NotACommandError("Invalid parameter type for 'enable', expected: array")
    for at, name in enumerate(wanted):
        if not isinstance(name, str):
            raise NotACommandError(f"Invalid parameter type for 'enable[{at}]', expected: string")
        if name != "oob":
            raise NotACommandError(f"Parameter 'null' does not accept value '{name}'")
    for name in arguments:
        if name != "enable":
            raise NotACommandError(f"Parameter '{name}' is unexpected")
    if "oob" in wanted and "oob" not in offered:
        raise NotACommandError("Capability 'oob' is not available")
    return "oob" in wanted
