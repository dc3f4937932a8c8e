"""Quoting what somebody wrote, and finding the known word that was meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

__all__ = ["SHOWN_CHARS", "listed", "nearest", "shown"]

#: Longest spelling that is quoted back in a message.
SHOWN_CHARS = 60


def nearest(word: str, known: Iterable[str]) -> str:
    """Return the known word that looks most like *word*, or an empty string."""
    plain = word[:SHOWN_CHARS].lower().replace("_", "-")
    by_plain = {candidate.lower(): candidate for candidate in known}
    found = difflib.get_close_matches(plain, by_plain, n=1, cutoff=0.6)
    return by_plain[found[0]] if found else ""


def shown(text: str) -> str:
    """Return a spelling in quotes, cut when it is long."""
    return f"'{text}'" if len(text) <= SHOWN_CHARS else f"'{text[: SHOWN_CHARS - 1]}…'"


def listed(words: Iterable[str]) -> str:
    """Join words for a sentence."""
    return ", ".join(words)
