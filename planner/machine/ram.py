"""Boot memory: its size as QEMU takes it, and the pieces it makes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from planner.machine.flatview import Piece
from planner.machine.request import MachineRefusedError, MachineRequest
from planner.region import Kind, Origin
from planner.span import Span, align_up

__all__ = ["RAM_ROUNDING", "boot_pieces", "boot_sizes"]

#: hw/core/machine.c ``machine_set_mem()``, QEMU 7.2: sizes are rounded up to this.
RAM_ROUNDING = 8192


def boot_sizes(request: MachineRequest) -> tuple[int, int]:
    """Return boot memory and maxmem as ``machine_set_mem()`` settles them, in bytes.

    :raise MachineRefusedError: they contradict each other.
    """
    ram = align_up(request.boot_bytes, RAM_ROUNDING)
    asked = request.max_bytes
    if not asked:
        if request.slots:
            raise MachineRefusedError("slots specified but no max-size", "add maxmem= to -m")
        return ram, ram
    if asked < ram:
        raise MachineRefusedError(
            f"invalid value of maxmem: maximum memory size ({asked:#x}) must be at least the"
            f" initial memory size ({ram:#x})",
            "raise maxmem or lower the boot memory",
        )
    if request.slots and asked == ram:
        raise MachineRefusedError(
            "invalid value of maxmem: memory slots were specified but maximum memory size"
            f" ({asked:#x}) is equal to the initial memory size ({ram:#x})",
            "raise maxmem or leave slots out",
        )
    return ram, asked


def boot_pieces(request: MachineRequest, name: str, spans: Sequence[Span]) -> Iterable[Piece]:
    """Yield boot RAM over *spans*, which ``-m`` fills in order.

    With memory backends (``memory-backend=``, ``-numa node,memdev=``) each is a region of its own.

    :param name: QEMU's name for the region without backends.
    :raise MachineRefusedError: the backends' sizes do not add up to boot memory.
    """
    total = sum(span.size for span in spans)
    backends = [(backend.id, backend.size) for backend in request.boot_backends] or [(name, total)]
    given = sum(size for _, size in backends)
    if given != total:
        raise MachineRefusedError(
            f"total memory for NUMA nodes ({given:#x}) should equal RAM size ({total:#x})"
            if len(backends) > 1
            else f"Machine memory size does not match the size of the memory backend ({given:#x})",
            "make the backends' sizes add up to -m",
        )
    origin = Origin("boot memory of -m, QEMU 7.2 hw/core/machine.c machine_run_board_init()")
    rest = list(spans)
    for label, size in backends:
        left = size
        while left:
            span = rest[0]
            taken = Span.sized(span.start, min(left, span.size))
            yield Piece(taken, label, Kind.RAM, origin, boot=True)
            left -= taken.size
            rest[0:1] = [] if taken.size == span.size else [Span(taken.end, span.end)]
