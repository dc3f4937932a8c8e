"""Collecting findings about one file, with a ceiling.

Everything wrong with a file is reported at once, but a megabyte of mistakes must not cost a
megabyte of messages: past the ceiling findings are only counted.
"""

from __future__ import annotations

from planner.findings import CODES, Finding, Severity
from planner.region import Loc

__all__ = ["MAX_FINDINGS", "Collector"]

#: Nobody reads more; past it the remaining ones are counted and one finding says how many.
MAX_FINDINGS = 100


class Collector:
    """Findings in the order they were met, at most *limit* of them."""

    def __init__(self, file: str, limit: int = MAX_FINDINGS) -> None:
        self.file = file
        self._limit = limit
        self._kept: list[Finding] = []
        self._dropped = 0
        self._failed = False

    @property
    def full(self) -> bool:
        """Whether further findings would only be counted: a loop over pairs may stop then."""
        return len(self._kept) >= self._limit

    @property
    def failed(self) -> bool:
        """Whether any finding, kept or counted, was an error."""
        return self._failed

    def add(self, finding: Finding) -> None:
        """Take a finding in."""
        self._failed = self._failed or finding.severity is Severity.ERROR
        if self.full:
            self._dropped += 1
        else:
            self._kept.append(finding)

    def report(  # the one way every reader of a file says something
        self,
        code: str,
        loc: Loc,
        message: str,
        *,
        help: str = "",  # noqa: A002  # named as in Finding
        also: tuple[tuple[Loc, str], ...] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        """Make a finding and take it in; past the ceiling it is counted without being made."""
        if self.full:
            self._failed = self._failed or CODES[code].severity is Severity.ERROR
            self._dropped += 1
            return
        self.add(Finding(code, message, help=help, loc=loc, also=also, notes=notes))

    def findings(self) -> list[Finding]:
        """Return what was found, in order of place, and how many more there were."""
        found = sorted(self._kept, key=Finding.sort_key)
        if self._dropped:
            what = "finding is" if self._dropped == 1 else "findings are"
            found.append(
                Finding(
                    "MM115",
                    f"{self._dropped} more {what} not shown",
                    help="mend the ones above and run again",
                    loc=Loc(self.file, 1, 1),
                    level=None if self._failed else Severity.WARNING,
                )
            )
        return found
