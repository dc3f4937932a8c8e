"""What can go wrong between guestmap and a QEMU.

.. code-block:: text

    GlueError                 message and help, fit to be shown; commands end with exit code 3
     ├── StartError           the program is not there, is not QEMU, or refused its command line
     ├── UnreachableError     no such socket, nobody listens, or another client holds the monitor
     ├── ListenError          the guard cannot listen where it should
     ├── SilentError          no answer within the time allowed
     ├── LostError            the connection or the process ended in the middle
     ├── GarbageError         what came back is not QMP, or not the answer asked for
     └── CommandError         QEMU answered a command with an error
"""

from __future__ import annotations

__all__ = [
    "CommandError",
    "GarbageError",
    "GlueError",
    "ListenError",
    "LostError",
    "SilentError",
    "StartError",
    "UnreachableError",
]


class GlueError(Exception):
    """QEMU or its monitor did not do its part.

    :param message: what happened, in QEMU's words where it has any.
    :param help_text: what to do about it.
    """

    def __init__(self, message: str, help_text: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help_text


class StartError(GlueError):
    """The program cannot be started, is not QEMU, or refused its command line."""


class UnreachableError(GlueError):
    """Nobody answers at the address, or somebody else has the monitor."""


class ListenError(GlueError):
    """The place is taken, cannot be made, or others could replace the socket."""


class SilentError(GlueError):
    """No answer within the time allowed."""


class LostError(GlueError):
    """The connection or the process ended in the middle."""


class GarbageError(GlueError):
    """What came back is not QMP, or not the answer that was asked for."""


class CommandError(GlueError):
    """QEMU answered a command with an error.

    :param command: the command's name.
    :param error_class: QMP's class, ``GenericError``, ``DeviceNotFound``, ….
    :param description: QEMU's words.
    """

    def __init__(self, command: str, error_class: str, description: str) -> None:
        super().__init__(f"{command}: {description}")
        self.command = command
        self.error_class = error_class
        self.description = description
