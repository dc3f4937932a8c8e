"""What the guard itself may ask QEMU: an allow list, of what has no effect.

Not in it, though they sound like questions: ``qom-list-types`` loads every module, and a QEMU whose
modules on disk are another build's aborts there (util/module.c ``module_load_qom_all()``, seen on
7.2 and 10.0); ``qom-list-properties`` and ``device-list-properties`` load modules and make an
object of the type (qom/qom-qmp-cmds.c; of ``virtio-gpu-gl-pci``, 7.2 aborts); ``info qdm``,
``device_add help`` and ``object_add help`` as ``qom-list-types``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = ["COMMANDS", "LINES", "NotAQuestionError", "check"]

#: QMP commands.
COMMANDS: Final = frozenset(
    (
        *("qom-get", "qom-list", "query-chardev", "query-commands", "query-cpus-fast"),
        *("query-kvm", "query-memdev", "query-memory-devices", "query-memory-size-summary"),
        *(
            "query-migrate",
            "query-migrate-parameters",
            "query-name",
            "query-pci",
            "query-status",
            "query-target",
        ),
        "query-version",
    )
)
#: Lines of the human monitor.
LINES: Final = frozenset({"info mtree", "info mtree -f"})


class NotAQuestionError(Exception):
    """The guard was about to ask what it may not: a bug of its own."""


def check(command: str, arguments: Mapping[str, Any] | None) -> None:
    """Insist that a command is a question without effect.

    :raise NotAQuestionError: it is on neither list.
    """
    if command in COMMANDS:
        return
    line = (arguments or {}).get("command-line")
    if command != "human-monitor-command" or line not in LINES:
        raise NotAQuestionError(f"the guard may not ask {command} {line or ''}".rstrip())
