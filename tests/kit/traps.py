"""Layouts as text: the traps YAML sets for whoever writes one, and all there is to write."""

from __future__ import annotations

HEAD = """\
schema: 1
name: guest
machine: {type: virt}
"""
MEMORY = "memory: {size: 4GiB}\n"
GOOD = HEAD + MEMORY
CUSTOM = (
    GOOD.replace("virt", "custom")
    + "regions:\n  - {name: ram, kind: ram, base: 4GiB, size: 8GiB}\n"
)

TRAPS: dict[str, str | bytes] = {
    "01-bdf-as-float": GOOD
    + "devices: [{host: 01:00.0}]\nhotplug: {devices: [10:00.0, 0000:02:00.1]}\n",
    "01-bdf-function": GOOD
    + "devices: [{host: 01:00.8}, {host: 01:00}, {host: 01:2f.0}, {host: 1.0}]\n",
    "02-sexagesimal": GOOD + "devices: [{host: 52:54:00:44:49:56}]\n",
    "02-sexagesimal-name": GOOD.replace("guest", "49100:22"),
    "03-leading-zero": HEAD + "memory: {size: 4GiB, max: 017, slots: 08, boot-min: 0o17}\n",
    "04-underscore-and-capital-x": CUSTOM
    + "  - {name: a, kind: mmio, base: 0x1000_0000, size: 0x1000}\n"
    + "  - {name: b, kind: mmio, base: 0X20000000, size: 0x1000}\n",
    "05-broken-numbers": CUSTOM
    + "  - {name: a, kind: mmio, base: 1_, size: 0x_}\n"
    + "  - {name: b, kind: mmio, base: 0x1__0, size: 1_000}\n"
    + f"  - {{name: c, kind: mmio, base: {'9' * 5000}, size: 4KiB}}\n",
    "06-units": HEAD + "memory: {size: 4GB, max: 4gib, boot-min: 1.5G, block: 1Gb}\n",
    "06-bare-number": HEAD + "memory: {size: 4096}\n",
    "06-not-a-page": HEAD + "memory: {size: 1073741825}\n",
    "07-duplicate-key": HEAD + "memory:\n  size: 4GiB\n  max: 8GiB\n  size: 2GiB\n",
    "07-duplicate-section": GOOD + "machine: {type: q35}\n",
    "08-anchor-and-alias": GOOD.replace("guest", "&n guest") + "hosts: [*n]\n",
    "08-merge": HEAD + "memory:\n  <<: {max: 8GiB}\n  size: 4GiB\n",
    "08-tag": HEAD + "memory: {size: !!int 4096}\n",
    "08-documents": GOOD + "---\n" + GOOD,
    "08-directive": "%YAML 1.1\n---\n" + GOOD,
    "08-list-as-key": GOOD + "? [a, b]\n: c\n",
    "09-deep": GOOD + "hosts: " + "[" * 100_000 + "\n",
    "09-deep-dashes": GOOD + "hosts:\n  " + "- " * 100_000 + "a\n",
    "10-nul": GOOD.encode() + b"hosts: [a\x00b]\n",
    "10-control": GOOD.encode() + b"hosts: [a\x1bb]\n",
    "10-not-utf8": GOOD.encode() + b"# caf\xe9\n",
    "10-utf16": GOOD.encode("utf-16"),
    "10-bidi": GOOD + "hosts: [\u202egro.lamron]\n",
    "10-line-separator": GOOD + "hosts: [a\u2028b]\n",
    "10-escaped-control": GOOD.replace("guest", '"\\e[2J"'),
    "11-booleans": GOOD + "devices: [{host: yes}]\non: 1\n0x1000: 2\n1:30: 3\n",
    "11-option-off": GOOD.replace("virt}", "virt, options: {highmem: off, its: no}}"),
    "12-empty-value": HEAD + "memory:\nhosts:\n  -\n  - a\n",
    "12-null": GOOD + "doorbell: {pin: ~, size: null}\n",
    "12-empty-file": "",
    "12-comments-only": "# schema: 1\n\n# nothing else\n",
    "12-scalar-root": "schema 1\n",
    "12-list-root": "- schema: 1\n",
    "12-empty-text": GOOD.replace("guest", '""'),
    "13-unknown-key": HEAD + "memory: {sise: 4GiB, boot_min: 1GiB}\nresreve: host\n",
    "13-unknown-word": GOOD.replace("virt", "vritt") + "reserve: hosts\n",
    "13-unknown-option": GOOD.replace("virt}", "virt, options: {gic_version: 3}}"),
    "14-tab": HEAD + "memory:\n\tsize: 4GiB\n",
    "14-no-space": "schema:1\nname: guest\n",
    "14-no-space-in-braces": "schema: 1\nmachine: {type:virt}\n",
    "14-indent": HEAD + "memory:\n    size: 4GiB\n  max: 8GiB\n",
    "14-list-indent": HEAD + "hosts:\n- a\nb: c\n- d\n",
    "14-unclosed-quote": GOOD + 'hosts: ["hosts/a.yaml]\n',
    "14-unclosed-bracket": GOOD + "hosts: [hosts/a.yaml\nreserve: host\n",
    "14-unclosed-brace-at-end": HEAD + "memory: {size: 4GiB\n",
    "14-missing-comma": HEAD + 'memory: {size: "4GiB" max: 8GiB}\n',
    "14-two-colons": GOOD.replace("guest", "guest: big"),
    "14-start-character": GOOD.replace("guest", "@guest"),
    "15-every-value-has-a-place": CUSTOM
    + "  - name: a\n    kind: mmio\n    base: 0x1000\n    size: 0x2000\n"
    + "  - name: b\n    kind: rom\n    base: 0x2000\n    size: 0x1000\n",
    "16-all-at-once": "schema: 1\nname: a b\nmachine: {type: vrt, cpu: max}\nmemory: {size: 4GB}\n"
    "doorbell: {pin: 0xfee00001}\ndevices: [{host: 29:00.9}]\nhosts: a\n",
    "16-more-than-shown": GOOD + "".join(f"key{number}: 1\n" for number in range(150)),
    "17-dates-and-floats": GOOD.replace("guest", "2024-01-01").replace(
        "virt}", "virt, version: .inf, cpu: 1e3}"
    ),
    "17-equals": GOOD.replace("guest", "="),
    "18-large-numbers": HEAD
    + "memory: {size: 4GiB, max: 0x10000000000000001}\n"
    + "doorbell: {pin: 18446744073709551616}\n",
    "19-bom-crlf-wide": b"\xef\xbb\xbf"
    + (GOOD + "# 日本語 comment\nhosts: [日本.yaml, ~]\nfoo: é\n").replace("\n", "\r\n").encode(),
    "19-combining-and-wide": GOOD + "regions: [{name: e\u0301日本, kind: 語}]\n",
    "20-no-includes": GOOD + "include: other.yaml\nhosts: [$HOME/a.yaml]\n",
    "21-unknown-version": GOOD.replace("schema: 1", "schema: 2") + "unheard: of\n",
    "21-no-version": GOOD.removeprefix("schema: 1\n"),
    "22-bytes-are-bound": GOOD,
}

#: Between them every field a layout has, and every kind of region.
WHOLE = {
    "virt": """\
schema: 1
name: whole
machine: {type: virt, version: "7.2", cpu: max, address-bits: 48, options: {gic-version: "3"}}
memory: {size: 4GiB, max: 16GiB, slots: 8, block: 128MiB, boot-min: 1GiB, pieces: virtio-mem}
guest: {preset: debian-13, acpi-hotplug: no, virtio-mem: yes, page-size: 4KiB, onlines: udev}
doorbell: {prefer: 0xfee00000, size: 1MiB}
reserve: assigned
devices:
  - host: "0000:29:00.0"
hotplug:
  devices: ["0000:2a:00.0"]
hosts: [hosts/amd-desktop.yaml]
silence:
  - {code: MM504, reason: seen}
""",
    "custom": """\
schema: 1
name: board
machine: {type: custom}
memory: {size: 1GiB}
doorbell: {pin: 0x8000000}
regions:
  - {name: low, kind: ram, base: 0x40000000, size: 2GiB}
  - {name: boot, kind: rom, base: 0x0, size: 1MiB}
  - {name: flash, kind: romd, base: 0x1000000, size: 16MiB}
  - {name: kept, kind: nvram, base: 0x100000000, size: 16MiB}
  - {name: uart, kind: mmio, base: 0x9000000, size: 4KiB}
  - {name: ports, kind: io, base: 0x9010000, size: 4KiB}
  - {name: msi, kind: doorbell, base: 0x8000000, size: 1MiB}
  - {name: bars, kind: pci-window, base: 0x10000000, size: 256MiB}
""",
}
