"""PCI configuration space through QEMU's qtest protocol: what a guest's firmware would do.

A BAR is in no map before somebody gives it an address, so the guest's part is played here.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Pci", "QtestLine"]

_MULTIFUNCTION = 0x80_0000
_BRIDGE = 1


class QtestLine:
    """The line protocol of system/qtest.c (QEMU 10.0): one request, one ``OK``."""

    def __init__(self, sock: socket.socket) -> None:
        sock.settimeout(20.0)
        self._sock = sock
        self._file = sock.makefile("rw")

    def __call__(self, line: str) -> int:
        self._file.write(line + "\n")
        self._file.flush()
        while (answer := self._file.readline()).startswith("IRQ"):
            pass
        if not answer:
            raise ConnectionResetError("qtest")
        words = answer.split()
        return int(words[1], 16) if len(words) > 1 and words[0] == "OK" else 0

    def close(self) -> None:
        self._file.close()
        self._sock.close()


@dataclass
class Windows:
    """Where BARs go, below and above 4 GiB; next free addresses."""

    low: int
    high: int
    io: int = 0xC000

    def take(self, size: int, *, high: bool) -> int:
        name = "high" if high else "low"
        at: int = -(-getattr(self, name) // size) * size
        setattr(self, name, at + size)
        return at


@dataclass
class Pci:
    """All functions of a machine."""

    qtest: QtestLine
    #: Base of the memory-mapped configuration space; None for ports 0xcf8 and 0xcfc.
    ecam: int | None
    buses: int = field(default=0, init=False)

    def read(self, place: int, at: int) -> int:
        if self.ecam is not None:
            return self.qtest(f"readl {self.ecam + (place << 12) + at:#x}")
        self.qtest(f"outl 0xcf8 {0x80000000 | place << 8 | at:#x}")
        return self.qtest("inl 0xcfc")

    def write(self, place: int, at: int, value: int) -> None:
        value &= 0xFFFFFFFF
        if self.ecam is not None:
            self.qtest(f"writel {self.ecam + (place << 12) + at:#x} {value:#x}")
        else:
            self.qtest(f"outl 0xcf8 {0x80000000 | place << 8 | at:#x}")
            self.qtest(f"outl 0xcfc {value:#x}")

    def functions(self, bus: int) -> Iterator[tuple[int, int]]:
        """Yield place (bus, device, function as in the address) and header type."""
        # Below a port is one device; on the scene's other buses are few.
        for device in range(4 if bus else 32):
            for function in range(8):
                place = bus << 8 | device << 3 | function
                if self.read(place, 0) & 0xFFFF in {0, 0xFFFF}:
                    if function == 0:
                        break
                    continue
                header = self.read(place, 0xC)
                yield place, header >> 16 & 0x7F
                if function == 0 and not header & _MULTIFUNCTION:
                    break

    def number(self) -> None:
        """Give every bridge its buses, wide windows, and power to its slot; as firmware does."""
        self.buses = self._number(0, 0)

    def _number(self, bus: int, last: int) -> int:
        for place, kind in list(self.functions(bus)):
            if kind != _BRIDGE:
                continue
            own = last + 1
            self.write(place, 0x18, 0xFF0000 | own << 8 | bus)
            last = self._number(own, own)
            self.write(place, 0x18, last << 16 | own << 8 | bus)
            self._open(place)
        return last

    def _open(self, place: int) -> None:
        """Open a bridge for every address, and switch its slot on."""
        low, high = WINDOWS[self.ecam is not None]
        self.write(place, 0x20, (low.stop - 1 & 0xFFF00000) | low.start >> 16)
        self.write(
            place, 0x24, (high.stop - 1 & 0xFFF00000) | (high.start >> 16 & 0xFFF0) | 0x10001
        )
        self.write(place, 0x28, high.start >> 32)
        self.write(place, 0x2C, high.stop - 1 >> 32)
        self.write(place, 0x1C, 0x0000_F101)
        self.write(place, 0x04, 0x7)
        # VGA ranges go through, too.
        self.write(place, 0x3C, self.read(place, 0x3C) | 0x80000)
        express = self._capability(place, 0x10)
        if express:
            # Slot control: power on (PCI_EXP_SLTCTL_PCC clear).
            self.write(place, express + 0x18, self.read(place, express + 0x18) & ~0x400 & 0xFFFF)

    def _capability(self, place: int, wanted: int) -> int:
        at = self.read(place, 0x34) & 0xFC
        while at:
            word = self.read(place, at)
            if word & 0xFF == wanted:
                return at
            at = word >> 8 & 0xFC
        return 0

    def program(self, *, roms: bool) -> None:
        """Give every BAR behind a bridge an address of its own and switch it on.

        :param roms: option ROMs, and nothing else.
        """
        low, high = WINDOWS[self.ecam is not None]
        # ROMs come above all BARs, so that none hides another.
        windows = Windows(low.start + (len(low) // 2 if roms else 0), high.start)
        for bus in range(1, self.buses + 1):
            for place, kind in self.functions(bus):
                self.write(place, 0x04, 0)
                if roms:
                    self._rom(place, 0x38 if kind == _BRIDGE else 0x30, windows)
                else:
                    self._bars(place, 2 if kind == _BRIDGE else 6, windows)
                self.write(place, 0x04, 0x7)

    def _bars(self, place: int, count: int, windows: Windows) -> None:
        number = 0
        while number < count:
            at = 0x10 + 4 * number
            number += 1
            self.write(place, at, 0xFFFFFFFF)
            mask = self.read(place, at)
            if not mask:
                continue
            if mask & 1:
                size = (~mask & 0xFFFC) + 4 & 0xFFFF or 4
                self.write(place, at, windows.io)
                windows.io += max(size, 16)
                continue
            wide = mask & 6 == 4
            mask &= ~0xF
            if wide:
                number += 1
                self.write(place, at + 4, 0xFFFFFFFF)
                mask |= self.read(place, at + 4) << 32
            else:
                mask |= 0xFFFFFFFF << 32
            size = (~mask & (1 << 64) - 1) + 1
            # A wide BAR that is not prefetchable lies below 4 GiB in life; a large one has no room.
            base = windows.take(size, high=wide)
            self.write(place, at, base)
            if wide:
                self.write(place, at + 4, base >> 32)

    def _rom(self, place: int, at: int, windows: Windows) -> None:
        self.write(place, at, 0xFFFFF800)
        mask = self.read(place, at) & 0xFFFFF800
        if mask:
            self.write(place, at, windows.take((~mask & 0xFFFFFFFF) + 1, high=False) | 1)


#: Bridge windows by machine: a PC's, and virt's (whose windows are in its flat map).
WINDOWS = {
    False: (range(0xC0000000, 0xE0000000), range(0x80_0000_0000, 0xC0_0000_0000)),
    True: (range(0x10000000, 0x30000000), range(0x80_0000_0000, 0xC0_0000_0000)),
}
