"""The guard's record: one JSON line a judgement, and counters for Prometheus.

Lines go to a file or to stderr, which is the journal under systemd. Counters are written as a
textfile for node_exporter. Neither ever raises or waits: what a full disk, a closed stderr or a
pipe nobody reads does not take is dropped and counted, and said once there is room again.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import select
import stat
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from planner.text.harmless import harmless, harmless_json
from planner.text.write import FileError, write_file
from qmp_glue.guard.values import Json, qemu_text
from qmp_glue.guard.verdicts import Refuse, Rewrite, Verdict

__all__ = ["GuardRecord", "Lines", "Metrics"]

#: Upper bounds of the latency histogram, in seconds.
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: At most one write of the metrics file in this many seconds.
_WRITE_EVERY: Final = 1.0
#: Longest command line kept in the record.
_MOST_CHARS: Final = 2000


#: What passes by itself, or by somebody making room: no reason not to start.
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Lines:
    """Where lines go: a descriptor that is never waited for."""

    def __init__(self, fd: int | None) -> None:
        """Write to *fd*; None drops everything.

        A pipe or a socket takes in one piece, without waiting, what is no longer than PIPE_BUF.
        """
        self._fd = fd
        self._poll = select.poll()
        self._piece = 1 << 30
        self._cut = False
        if fd is not None:
            self._poll.register(fd, select.POLLOUT)
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                self._piece = select.PIPE_BUF

    @classmethod
    def to_file(cls, path: str | Path) -> Lines:
        """Append to a file.

        :raise FileError: it cannot be opened to be written.
        """
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        try:
            return cls(os.open(path, flags, 0o666))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            raise FileError(f"{path} cannot be written: {why}") from error

    def close(self) -> None:
        """Close the descriptor."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @classmethod
    def to_stderr(cls) -> Lines:
        """Write to standard error, where there is one."""
        try:
            return cls(sys.stderr.fileno())
        except (OSError, ValueError, AttributeError):
            return cls(None)

    def write(self, line: str) -> bool:
        """Write a line; say whether the whole of it was taken."""
        # What a full disk has cut off stays a line of its own.
        rest = memoryview(f"{self._cut * chr(10)}{line}\n".encode("utf-8", "backslashreplace"))
        try:
            while rest and self._fd is not None and self._poll.poll(0):
                taken = os.write(self._fd, rest[: self._piece])
                self._cut = taken < len(rest)
                rest = rest[taken:]
        except OSError:
            pass
        return not rest


class Metrics:
    """Counters of one guard, and their file."""

    def __init__(self, path: Path | None = None, vm: str = "") -> None:
        """Count, and write to *path* where there is one.

        :param vm: what to call a VM that QEMU has no name for.
        """
        self._path = path
        #: The VM's name, which tells the counters of one guard from those of another.
        self.vm = vm
        #: Whether QEMU has been met, so that the name is known.
        self.met = False
        self._due: asyncio.TimerHandle | None = None
        self._failing = False
        #: Told when the file cannot be written any more.
        self.on_failure: Callable[[str], None] = lambda _reason: None
        #: By verdict: ``pass``, ``steer``, ``refuse``, ``unjudged``.
        self.judged: Counter[str] = Counter({"pass": 0, "steer": 0, "refuse": 0, "unjudged": 0})
        self.errors = 0
        self.clients = 0
        self.lost = 0
        self.qemu_up = 0
        self._buckets = [0] * len(_BUCKETS)
        self._seconds = 0.0

    def observe(self, verdict: str, seconds: float) -> None:
        """Count a judgement."""
        self.judged[verdict] += 1
        self._seconds += seconds
        for at, bound in enumerate(_BUCKETS):
            self._buckets[at] += seconds <= bound
        self.changed()

    def changed(self) -> None:
        """See to it that the file is written soon."""
        if self._path and self._due is None:
            self._due = asyncio.get_running_loop().call_later(_WRITE_EVERY, self.refresh)

    def text(self) -> str:
        """Return the counters in Prometheus' text format; none before the VM's name is known."""
        name = "guestmap_guard"
        vm = harmless(self.vm).replace("\\", r"\\").replace('"', r"\"")
        if not self.met:
            return f"# {name}: QEMU has not been met\n"
        total = sum(self.judged.values())
        counts = zip((*_BUCKETS, "+Inf"), (*self._buckets, total), strict=True)
        seconds = [("_bucket", f'le="{bound}"', str(count)) for bound, count in counts]
        seconds += [("_sum", "", f"{self._seconds:.6f}"), ("_count", "", str(total))]
        judged = [("", f'verdict="{word}"', str(n)) for word, n in sorted(self.judged.items())]
        families: list[tuple[str, str, str, list[tuple[str, str, str]]]] = [
            ("judged_total", "counter", "Commands judged, by verdict.", judged),
            (
                "judgement_seconds",
                "histogram",
                "Time from a command's turn to its verdict.",
                seconds,
            ),
        ]
        single: Sequence[tuple[str, str, str, int]] = [
            ("errors_total", "counter", "Things that should not have happened.", self.errors),
            ("clients_total", "counter", "Clients that connected.", self.clients),
            ("lines_lost_total", "counter", "Lines the record could not take.", self.lost),
            ("qemu_up", "gauge", "Whether the guard is connected to QEMU.", self.qemu_up),
        ]
        families += [(a, kind, words, [("", "", str(n))]) for a, kind, words, n in single]
        lines: list[str] = []
        for family, kind, words, samples in families:
            lines += [f"# HELP {name}_{family} {words}", f"# TYPE {name}_{family} {kind}"]
            for suffix, label, value in samples:
                labels = f'{{vm="{vm}"{label and ","}{label}}}'
                lines.append(f"{name}_{family}{suffix}{labels} {value}")
        return "\n".join(lines) + "\n"

    def start(self) -> None:
        """Write the file for the first time; a disk that is full is no reason not to start.

        :raise FileError: it can never be written: a device, a folder that is not there.
        """
        try:
            self.write()
        except FileError as error:
            if getattr(error.__cause__, "errno", None) not in _FULL:
                raise
            self.refresh()

    def write(self) -> None:
        """Write the file, whole or not at all.

        :raise FileError: it cannot be written.
        """
        if self._due:
            self._due.cancel()
            self._due = None
        if self._path is None:
            return
        # node_exporter usually runs as another user. A disk that is slow must not hold up QMP.
        write_file(self._path, self.text(), mode=0o644, durable=False)

    def refresh(self) -> None:
        """Write the file; that it cannot be is told once, and ends nothing."""
        try:
            self.write()
            self._failing = False
        except FileError as error:
            if not self._failing:
                self._failing = True
                self.on_failure(str(error))


class GuardRecord:
    """Writes the lines and feeds the counters."""

    def __init__(self, out: Lines | None = None, metrics: Metrics | None = None) -> None:
        self._out = out or Lines.to_stderr()
        # journald takes the syslog level from a prefix (sd-daemon(3)).
        self._prefix = out is None and "JOURNAL_STREAM" in os.environ
        #: Lines dropped since the last one that was taken.
        self._lost = 0
        self.metrics = metrics or Metrics()
        self.metrics.on_failure = lambda reason: self.error("metrics", reason=reason)
        #: The last line in words, for systemd's status.
        self.last = "nothing judged yet"

    def judged(self, command: Mapping[str, Json], verdict: Verdict, seconds: float) -> None:
        """Take down a judgement."""
        word = verdict.word
        facts: dict[str, Any] = {"command": _shown(command), "verdict": word}
        if isinstance(verdict, Rewrite):
            facts["became"] = _shown(verdict.command)
        if isinstance(verdict, Refuse):
            facts["said"] = verdict.words
            if verdict.unjudged:
                facts["verdict"] = word = "unjudged"
        elif verdict.words:
            facts["note"] = verdict.words
        facts["findings"] = [finding.to_json() for finding in verdict.findings]
        facts["map"] = verdict.map_hash
        facts["milliseconds"] = round(seconds * 1000, 3)
        self.metrics.observe(word, seconds)
        self.last = harmless(f"{command.get('execute')}: {word}")
        self._line("judged", 4 if isinstance(verdict, Refuse) else 6, facts)

    def event(self, name: str, **facts: object) -> None:
        """Take down something that happened."""
        if name == "client":
            self.metrics.clients += 1
        elif name in {"qemu", "qemu-gone"}:
            self.metrics.qemu_up = int(name == "qemu")
            self.metrics.met = True
            self.metrics.vm = str(facts.get("vm") or self.metrics.vm)
        self.metrics.changed()
        self._line(name, 6, facts)

    def error(self, name: str, **facts: object) -> None:
        """Take down something that should not have happened."""
        self.metrics.errors += 1
        self.metrics.changed()
        self._line(name, 3, facts)

    def _line(self, name: str, level: int, facts: Mapping[str, object]) -> None:
        if self._lost and self._written("lines-lost", 4, {"count": self._lost}):
            self._lost = 0
        if self._lost or not self._written(name, level, facts):
            self._lost += 1
            self.metrics.lost += 1
            self.metrics.changed()

    def _written(self, name: str, level: int, facts: Mapping[str, object]) -> bool:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = harmless_json(json.dumps({"time": now, "event": name, **facts}, default=str))
        return self._out.write(f"<{level}>{text}" if self._prefix else text)


def _shown(command: Mapping[str, Json]) -> str:
    """Return the command as text, so that numbers of any size and spelling stay what they were."""
    text = qemu_text(dict(command))
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}…"
