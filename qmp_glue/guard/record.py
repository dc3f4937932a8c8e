"""The guard's record: one JSON line a judgement, and counters for Prometheus.

Lines go to a file or to stderr, which is the journal under systemd. Counters are written as a
textfile for node_exporter.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TextIO

from planner.text.harmless import harmless, harmless_json
from planner.text.write import FileError, write_file
from qmp_glue.guard.values import Json, qemu_text
from qmp_glue.guard.verdicts import Refuse, Rewrite, Verdict

__all__ = ["GuardRecord", "Metrics"]

#: Upper bounds of the latency histogram, in seconds.
_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
#: At most one write of the metrics file in this many seconds.
_WRITE_EVERY: Final = 1.0
#: Longest command line kept in the record.
_MOST_CHARS: Final = 2000


def _one(value: int) -> list[tuple[str, object]]:
    return [("", value)]


class Metrics:
    """Counters of one guard, and their file."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._due: asyncio.TimerHandle | None = None
        self._failing = False
        #: Told when the file cannot be written any more.
        self.on_failure: Callable[[str], None] = lambda _reason: None
        #: By verdict: ``pass``, ``steer``, ``refuse``, ``unjudged``.
        self.judged: Counter[str] = Counter({"pass": 0, "steer": 0, "refuse": 0, "unjudged": 0})
        self.errors = 0
        self.clients = 0
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
        """Return the counters in Prometheus' text format."""
        name = "guestmap_guard"
        judged = [(f'{{verdict="{word}"}}', count) for word, count in sorted(self.judged.items())]
        total = sum(self.judged.values())
        counts = zip((*_BUCKETS, "+Inf"), (*self._buckets, total), strict=True)
        seconds = [(f'_bucket{{le="{bound}"}}', str(count)) for bound, count in counts]
        seconds += [("_sum", f"{self._seconds:.6f}"), ("_count", str(total))]
        families: list[tuple[str, str, str, Sequence[tuple[str, object]]]] = [
            ("judged_total", "counter", "Commands judged, by verdict.", judged),
            ("errors_total", "counter", "Things that should not have happened.", _one(self.errors)),
            ("clients_total", "counter", "Clients that connected.", _one(self.clients)),
            ("qemu_up", "gauge", "Whether the guard is connected to QEMU.", _one(self.qemu_up)),
            (
                "judgement_seconds",
                "histogram",
                "Time from a command's turn to its verdict.",
                seconds,
            ),
        ]
        lines: list[str] = []
        for family, kind, words, samples in families:
            lines += [f"# HELP {name}_{family} {words}", f"# TYPE {name}_{family} {kind}"]
            lines += [f"{name}_{family}{suffix} {value}" for suffix, value in samples]
        return "\n".join(lines) + "\n"

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

    def __init__(self, out: TextIO | None = None, metrics: Metrics | None = None) -> None:
        self._out = out or sys.stderr
        # journald takes the syslog level from a prefix (sd-daemon(3)).
        self._prefix = out is None and "JOURNAL_STREAM" in os.environ
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
        self.metrics.changed()
        self._line(name, 6, facts)

    def error(self, name: str, **facts: object) -> None:
        """Take down something that should not have happened."""
        self.metrics.errors += 1
        self.metrics.changed()
        self._line(name, 3, facts)

    def _line(self, name: str, level: int, facts: Mapping[str, object]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        text = harmless_json(json.dumps({"time": now, "event": name, **facts}, default=str))
        prefix = f"<{level}>" if self._prefix else ""
        self._out.write(f"{prefix}{text}\n")
        self._out.flush()


def _shown(command: Mapping[str, Json]) -> str:
    """Return the command as text, so that numbers of any size and spelling stay what they were."""
    text = qemu_text(dict(command))
    return text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}…"
