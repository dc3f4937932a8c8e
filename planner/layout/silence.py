"""Silencers: findings an author knows of and does not want to see again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from planner.findings import Finding, Severity
from planner.layout.model import Silence

__all__ = ["EVERY_FAMILY", "apply_silence"]

#: First letters of the codes there are.
EVERY_FAMILY = tuple(f"MM{digit}" for digit in range(1, 8))


def apply_silence(
    findings: Iterable[Finding],
    silencers: Sequence[Silence],
    *,
    judged: Sequence[str] = EVERY_FAMILY,
) -> list[Finding]:
    """Leave out what is silenced, and report silencers that silenced nothing (MM116).

    Errors are never left out. A silencer counts as unused only when its family was judged: ``lint``
    reads no host, so a silencer of MM406 has nothing to say there.

    :param judged: beginnings of the codes that could have been found in this run.
    """
    wanted = {silencer.code for silencer in silencers}
    used: set[str] = set()
    kept: list[Finding] = []
    for finding in findings:
        if finding.code in wanted and finding.severity is not Severity.ERROR:
            used.add(finding.code)
        else:
            kept.append(finding)
    kept += [
        Finding(
            "MM116",
            f"nothing is silenced by {silencer.code} ({silencer.reason})",
            help="remove the silencer",
            loc=silencer.loc,
        )
        for silencer in silencers
        if silencer.code not in used and silencer.code.startswith(tuple(judged))
    ]
    return kept
