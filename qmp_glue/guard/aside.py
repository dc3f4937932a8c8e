"""Work that may hang, such as reading ``/sys``, beside the event loop and bounded in time."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar

from qmp_glue.guard.verdicts import CannotJudgeError

__all__ = ["aside"]

_T = TypeVar("_T")
_P = ParamSpec("_P")

#: How long a file, a sysfs or a /proc may take, in seconds.
_SECONDS: Final = 5.0
#: Threads that may hang at once; what hangs in the kernel cannot be ended, only not be added to.
_MOST: Final = 4


async def aside(what: str, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Do *work* in another thread, which nothing waits for at the end of the program.

    :param what: what it is about, for the message.
    :raise CannotJudgeError: it does not end in time, or too much of its like hangs already.
    """
    if len(_hanging) >= _MOST:
        raise CannotJudgeError(f"{what}: {_MOST} earlier readings still hang")
    loop = asyncio.get_running_loop()
    done: asyncio.Future[_T] = loop.create_future()

    def settle(way: Callable[[Any], None], value: object) -> None:
        if not done.done():
            way(value)

    def run() -> Callable[[], object]:
        try:
            told: tuple[Callable[[Any], None], object] = (done.set_result, work(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001  # handed to whoever waits
            told = (done.set_exception, exc)
        return lambda: loop.is_closed() or loop.call_soon_threadsafe(settle, *told)

    worker = _idle.pop() if _idle else _Worker()
    _hanging.add(worker)
    worker.do(run)
    try:
        async with asyncio.timeout(_SECONDS):
            return await done
    except TimeoutError:
        raise CannotJudgeError(f"{what} did not come within {_SECONDS:g} s") from None


class _Worker:
    """A thread that waits for something to do; starting one costs more than most readings."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], Callable[[], object]]] = queue.SimpleQueue()
        threading.Thread(target=self._run, name="guard: aside", daemon=True).start()

    def do(self, job: Callable[[], Callable[[], object]]) -> None:
        """Have *job* done, and what it returns once this thread is free again."""
        self._jobs.put(job)

    def _run(self) -> None:
        while True:
            tell = self._jobs.get()()
            _hanging.discard(self)
            _idle.append(self)
            tell()


_idle: list[_Worker] = []
#: Those at work; one that hangs in the kernel stays here.
_hanging: set[_Worker] = set()
