"""Work that may hang, such as reading ``/sys``, beside the event loop and bounded in time."""

from __future__ import annotations

import asyncio
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
_hanging: set[threading.Thread] = set()


async def aside(what: str, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Do *work* in a thread of its own, which nothing waits for at the end of the program.

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

    def run() -> None:
        try:
            told: tuple[Callable[[Any], None], object] = (done.set_result, work(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001  # handed to whoever waits
            told = (done.set_exception, exc)
        _hanging.discard(thread)
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, *told)

    thread = threading.Thread(target=run, name=f"guard: {what}", daemon=True)
    _hanging.add(thread)
    thread.start()
    try:
        async with asyncio.timeout(_SECONDS):
            return await done
    except TimeoutError:
        raise CannotJudgeError(f"{what} did not come within {_SECONDS:g} s") from None
