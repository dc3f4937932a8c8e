"""Text from outside, made fit to be shown: nothing in it acts on a terminal, or hides."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable

__all__ = ["harmless", "harmless_json", "shell_line"]


def harmless(text: str) -> str:
    r"""Write as an escape what a terminal would act on, or would not show.

    That is all that Unicode does not call printable: controls, marks of direction, separators of
    lines, halves of surrogate pairs.

    >>> print(harmless("a\x1b[31mb\n"))
    a\x1b[31mb\n
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def harmless_json(text: str) -> str:
    r"""Write the same as JSON's escapes, in a JSON document: it means what it meant.

    >>> print(harmless_json('{"a": "\x7f"}'))
    {"a": "\u007f"}
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def shell_line(words: Iterable[str]) -> str:
    r"""Join words so that a shell reads them back, and nothing acts on the terminal before.

    >>> print(shell_line(["qemu", "a b", "c\x1b'\n"]))
    qemu 'a b' $'c\x1b\'\x0a'
    """
    return " ".join(map(_shell_word, words))


def _shell_word(word: str) -> str:
    """Quote a word; with escapes, as bash, zsh and POSIX 2024 read them, where it needs some."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_shell_character, word)) + "'"


def _shell_character(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    # A byte that was no UTF-8 came as half a surrogate pair (PEP 383).
    errors = "surrogateescape" if "\udc80" <= character <= "\udcff" else "surrogatepass"
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", errors))
