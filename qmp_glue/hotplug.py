"""One hotplug: judged like the guard judges it, then performed."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from qmp_glue.asks import Asks
from qmp_glue.errors import GlueError
from qmp_glue.guard.policy import Policy, PolicyOptions
from qmp_glue.guard.values import Json
from qmp_glue.guard.verdicts import Refuse, Rewrite, Verdict

__all__ = ["Hotplug", "hotplug"]


@dataclass(frozen=True, slots=True)
class Hotplug:
    """How a hotplug went."""

    #: ``device_add`` arguments as they went, or would go, to QEMU.
    arguments: dict[str, Json]
    verdict: Verdict
    #: Whether QEMU has the device now.
    done: bool = False


async def hotplug(
    session: Asks,
    options: PolicyOptions,
    arguments: dict[str, Json],
    objects: Sequence[dict[str, Json]] = (),
    *,
    perform: bool = True,
) -> Hotplug:
    """Judge a ``device_add``, and when it may be, make *objects* and add the device.

    :param arguments: of the ``device_add``.
    :param objects: arguments of an ``object-add`` each; those of the device's backend, and others.
    :param perform: False to judge only.
    :raise GlueError: QEMU did not answer, or refused what was judged good; objects made for it are
        then taken away again.
    """
    planned = {str(each["id"]): each for each in objects if "id" in each}
    policy = Policy(replace(options, backends={**options.backends, **planned}))
    verdict = await policy.judge({"execute": "device_add", "arguments": arguments}, session)
    if isinstance(verdict, Rewrite):
        arguments = verdict.command["arguments"]
    result = Hotplug(arguments, verdict)
    if isinstance(verdict, Refuse) or not perform:
        return result
    made: list[str] = []
    try:
        for each in objects:
            await session.execute("object-add", each)
            made.append(str(each.get("id", "")))
        await session.execute("device_add", arguments)
    except GlueError:
        for name in reversed(made):
            with contextlib.suppress(GlueError):
                await session.execute("object-del", {"id": name})
        raise
    return replace(result, done=True)
