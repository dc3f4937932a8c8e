"""A QEMU command line cut into options. What they mean is :mod:`planner.argv.line`'s.

Which options take a value: qemu-options.hx of QEMU 7.2 and 10.0, and ``--help`` of 11.1. An option
outside these lists cannot be cut off safely, so it is an error.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from planner.argv.keyval import (
    KeyvalError,
    change_keys,
    is_json,
    parse_json,
    parse_keyval,
)
from planner.machine.versions import KNOWN_QEMUS

__all__ = ["ArgvError", "Option", "split_argv"]


def _words(text: str) -> list[str]:
    return text.split()


#: Options without a value.
FLAGS = frozenset(
    _words("""
    S async-teardown audio-help daemonize enable-kvm enable-sync-profile full-screen h help
    jitdump mem-prealloc no-acpi no-fd-bootchk no-hpet no-reboot no-shutdown no-user-config
    nodefaults nographic old-param only-migratable perfmap portrait preconfig s semihosting
    singlestep snapshot usb version win2k-hack xen-attach xen-domid-restrict
""")
)
#: Options with one value.
VALUED = frozenset(
    _words("""
    D L M accel acpitable action add-fd append audio audiodev bios blockdev boot cdrom chardev
    chroot compat cpu d debugcon device dfilter display drive dtb dump-vmstate echr fda fdb
    fsdev fw_cfg g gdb global hda hdb hdc hdd icount incoming initrd iscsi k kernel loadvm m
    machine mem-path mon monitor msg mtdblock name net netdev nic numa object option-rom
    overcommit parallel pflash pidfile plugin prom-env qmp qmp-pretty qtest qtest-log readconfig
    rotate rtc run-with runas sandbox sd seed semihosting-config serial set shim smbios smp
    spice tpmdev trace usbdevice uuid vga virtfs vnc watchdog watchdog-action writeconfig
    xen-domid
""")
)
#: One spelling each; ``-M`` and ``-machine`` are the same option.
_ALIASES = {"M": "machine", "h": "help"}
#: Options whose value is keys that are read here, and the key that may be left out.
IMPLIED: Mapping[str, str] = {
    "accel": "accel",
    "blockdev": "driver",
    "device": "driver",
    "drive": "file",
    "m": "size",
    "machine": "type",
    "numa": "type",
    "object": "qom-type",
    "smp": "cpus",
}


class ArgvError(ValueError):
    """The command line cannot be read; the message says which word and why."""


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a command line."""

    #: Without dashes, ``machine`` also for ``-M``; ``image`` for a word without a dash.
    name: str
    #: The value, empty for an option without one.
    value: str
    #: The words as they were given.
    words: tuple[str, ...]
    #: The value's keys where it has any, whichever way it is spelled.
    keys: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, value: str, word: str = "") -> Option:
        """Return an option with its keys read.

        :param word: how the name was spelled.
        :raise ArgvError: the value does not follow QEMU's grammar.
        """
        keys = read_keys(name, value, IMPLIED[name]) if name in IMPLIED else {}
        return cls(name, value, (word or f"-{name}", value), keys)

    def changed(self, changes: Mapping[str, str | int | None]) -> Option:
        """Return the option with some of its keys changed or (None) taken out."""
        value = change_keys(self.value, changes, IMPLIED[self.name])
        return Option.of(self.name, value, self.words[0])

    def __str__(self) -> str:
        return " ".join(self.words)


def read_keys(name: str, value: str, implied: str = "") -> dict[str, str]:
    """Read an option's value as keys, from either spelling.

    :raise ArgvError: the value does not follow QEMU's grammar.
    """
    try:
        return parse_json(value) if is_json(value) else parse_keyval(value, implied)
    except KeyvalError as error:
        raise ArgvError(f"-{name}: {error}") from None


def split_argv(words: Sequence[str]) -> tuple[str, tuple[Option, ...]]:
    """Cut a command line into the program and its options.

    :raise ArgvError: no program, an option nobody knows, or a value that is missing.
    """
    if not words:
        raise ArgvError("there is no command line; write the QEMU program and its options after --")
    program, *rest = words
    if program.startswith("-"):
        raise ArgvError(f"the first word must be the QEMU program, not '{program}'")
    options: list[Option] = []
    at = 0
    while at < len(rest):
        word = rest[at]
        at += 1
        if not word.startswith("-") or word == "-":
            options.append(Option("image", word, (word,)))
            continue
        name = word[2:] if word.startswith("--") else word[1:]
        name = _ALIASES.get(name, name)
        if name in FLAGS:
            options.append(Option(name, "", (word,)))
        elif name in VALUED:
            if at == len(rest):
                raise ArgvError(f"option '{word}' needs a value and is the last word")
            options.append(Option.of(name, rest[at], word))
            at += 1
        else:
            raise ArgvError(
                f"option '{word}' is not one of {KNOWN_QEMUS};"
                " whether the next word belongs to it is not known"
            )
    return program, tuple(options)
