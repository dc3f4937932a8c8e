"""How deep the brackets nest that a parser stopped at, whatever it says of them.

Before a parser can tell of an opening bracket it reads on, up to 1024 characters, to see whether a
key begins there. What it meets in between, a limit of its own on depth among it (1000 levels in
libyaml since PyYAML 6.0.4), hides the brackets from whoever counts its events: they are counted
here.
"""

from __future__ import annotations

import re

__all__ = ["too_deep"]

#: What may stand between an event in block style and a bracket: blanks, comments, dashes, tags.
_BEFORE = re.compile(r"(?:\s|(?<!\S)#[^\n]*|[-?:](?!\S)|[&!]\S*)*")
#: Comments, quoted and plain scalars: what hides a bracket in flow style. A ``'`` or ``"`` inside
#: a plain scalar quotes nothing.
_TOKEN = re.compile(
    r"""(?<!\S)\#[^\n]*
    | "(?:\\.|[^"\\])*"?
    | '[^']*'?
    | [^\s,\[\]{}:](?:[^\s,\[\]{}:]|:(?![\s,\[\]{}])|\s+(?![\s,\[\]{}:#]))*
    | .""",
    re.VERBOSE | re.DOTALL,
)


def too_deep(text: str, start: int, end: int, depth: int, most: int, *, flow: bool) -> int | None:
    """Return the index of the bracket that opens one level more than *most*, None for none.

    :param start: where the last event the parser told ended; *depth* levels are open there.
    :param end: where the parser stopped.
    :param flow: whether the innermost of them is in flow style, between brackets.
    """
    if not flow:
        # A scalar in block style is told before anything behind it is read.
        match = _BEFORE.match(text, start, end)
        start = match.end() if match else start
        if text[start : start + 1] not in ("[", "{"):
            return None
    for token in _TOKEN.finditer(text, start, end):
        if token[0] in ("[", "{"):
            if depth >= most:
                return token.start()
            depth += 1
        elif token[0] in ("]", "}"):
            depth -= 1
    return None
