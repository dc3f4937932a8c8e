"""A QEMU command line cut into options. What they mean is :mod:`planner.argv.line`'s.

Which options take a value: qemu-options.hx of QEMU 7.2 and 10.0, and ``--help`` of 11.1. An option
outside these lists cannot be cut off safely, so it is an error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from planner.argv.keyval import KeyvalError, is_json, parse_json, parse_keyval

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

    def keys(self, implied: str = "") -> dict[str, str]:
        """Read the value as keys, from either spelling.

        :raise ArgvError: the value does not follow QEMU's grammar.
        """
        try:
            if is_json(self.value):
                return parse_json(self.value)
            return parse_keyval(self.value, implied)
        except KeyvalError as error:
            raise ArgvError(f"-{self.name}: {error}") from None

    def __str__(self) -> str:
        return " ".join(self.words)


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
            options.append(Option(name, rest[at], (word, rest[at])))
            at += 1
        else:
            raise ArgvError(
                f"option '{word}' is not one of QEMU 7.2 to 11.1;"
                " whether the next word belongs to it is not known"
            )
    return program, tuple(options)
