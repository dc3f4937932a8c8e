"""The monitor of a libvirt domain, read through ``virsh qemu-monitor-command``.

libvirt holds that monitor and must know of every change, so this way only asks. Which libvirt is
meant is virsh's to say: ``LIBVIRT_DEFAULT_URI``, or its own default. libvirt marks the domain
``custom-monitor`` in its log; the guest does not notice.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Mapping
from typing import Any

from qmp_glue.asks import COMMAND_SECONDS, Asks, QemuVersion
from qmp_glue.errors import CommandError, GarbageError, SilentError, UnreachableError

__all__ = ["LibvirtMonitor"]


class LibvirtMonitor(Asks):
    """A domain's QEMU; made by :meth:`open`. There is no connection: each question is a virsh."""

    version: QemuVersion

    def __init__(self, domain: str) -> None:
        self.name = f"libvirt:{domain}"
        self._domain = domain
        #: libvirtd would let virsh wait for its turn, and for no longer than a job may take.
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, domain: str) -> LibvirtMonitor:
        """Ask for the version, which shows that the domain runs and may be asked.

        :raise GlueError: it does not, or may not.
        """
        made = cls(domain)
        made.version = QemuVersion.read(await made.execute("query-version"), made.name)
        return made

    async def execute(
        self,
        command: str,
        arguments: Mapping[str, Any] | None = None,
        seconds: float | None = COMMAND_SECONDS,
    ) -> Any:
        """Run one command; see :meth:`qmp_glue.asks.Asks.execute`."""
        asked: dict[str, Any] = {"execute": command}
        if arguments:
            asked["arguments"] = dict(arguments)
        async with self._turn:
            said = await self._virsh(json.dumps(asked), command, seconds)
        try:
            reply = json.loads(said)
            if "error" in reply:
                error = reply["error"]
                raise CommandError(command, str(error["class"]), str(error["desc"]))
            return reply["return"]
        except (ValueError, KeyError, TypeError):
            words = said.decode("utf-8", "replace")[:200].strip()
            raise GarbageError(f"{self.name}: virsh answered {command} with '{words}'") from None

    async def _virsh(self, line: str, command: str, seconds: float | None) -> bytes:
        words = ["virsh", "-q", "qemu-monitor-command", f"--domain={self._domain}", line]

        def virsh() -> subprocess.CompletedProcess[bytes]:
            plain = {**os.environ, "LC_ALL": "C"}
            return subprocess.run(
                words,
                check=False,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=seconds,
                env=plain,
            )

        try:
            done = await asyncio.to_thread(virsh)
        except subprocess.TimeoutExpired:
            raise SilentError(
                f"{self.name}: no answer to {command} through virsh within {seconds:g} seconds"
            ) from None
        except OSError as error:
            raise UnreachableError(
                f"{self.name}: virsh cannot be started: {error.strerror}",
                "libvirt's client programs are needed where libvirt holds the monitor",
            ) from None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").replace("error: ", "").split("\n")
            raise UnreachableError(
                f"{self.name}: virsh says: {'; '.join(filter(None, map(str.strip, said)))[:500]}",
                "the connection is LIBVIRT_DEFAULT_URI's, or virsh's own default; 'virsh list'"
                " names the domains that run there",
            )
        return done.stdout
