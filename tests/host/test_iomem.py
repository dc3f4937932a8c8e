"""PCI host bridge windows in /proc/iomem."""

from __future__ import annotations

from planner.host.iomem import bridge_windows

X86 = """\
00000000-00000fff : Reserved
000a0000-000dffff : PCI Bus 0000:00
  000c0000-000c7fff : Video ROM
c0000000-febfffff : PCI Bus 0000:00
  c0000000-c1ffffff : PCI Bus 0000:01
    c0000000-c0ffffff : 0000:01:00.0
fec00000-fec003ff : IOAPIC 0
nonsense
100000000-83fffffff : System RAM
"""

DEVICETREE = """\
40000000-7fffffff : pcie@10000000
  40000000-400fffff : PCI Bus 0000:01
80000000-ffffffff : System RAM
"""


def test_only_the_outermost_windows_count() -> None:
    windows = bridge_windows(X86)
    assert windows is not None
    assert [(str(w.span), str(w.origin)) for w in windows] == [
        ("0xa0000-0xdffff", "proc/iomem line 2"),
        ("0xc0000000-0xfebfffff", "proc/iomem line 4"),
    ]


def test_devicetree_hosts_name_the_bridges_node() -> None:
    windows = bridge_windows(DEVICETREE)
    assert windows is not None
    assert [w.name for w in windows] == ["pcie@10000000"]


def test_hidden_addresses_are_no_windows() -> None:
    assert bridge_windows("00000000-00000000 : PCI Bus 0000:00\n") is None
    assert bridge_windows("") is None


def test_a_host_without_pci_has_none() -> None:
    assert bridge_windows("80000000-ffffffff : System RAM\n") == ()
