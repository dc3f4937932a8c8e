"""Kernels of distributions, by name: what their configurations say of plugged memory.

One row a kernel. ``R``: read in the package or booted; ``S``: read in the source named. A field
that nobody has looked at is None. Page sizes are those of the configuration.
"""

from __future__ import annotations

from dataclasses import replace

from planner.guest.kernel import Guest, Onlines

__all__ = ["PRESETS", "arches", "find_preset", "names", "spelled"]

_SPELLED = {"amd64": "x86_64", "arm64": "aarch64", "x86_64": "x86_64", "aarch64": "aarch64"}
_K = 1 << 10

#: Name without architecture → architecture as the distribution spells it → the kernel.
PRESETS: dict[str, dict[str, Guest]] = {
    # R: config of linux-image 6.1.176; amd64 booted: the DIMM is there, its blocks are offline.
    "debian-12": {
        "amd64": Guest("", True, True, 4 * _K, Onlines.NOBODY),
        "arm64": Guest("", False, True, 4 * _K, Onlines.NOBODY),
    },
    "debian-12-cloud": {
        "amd64": Guest("", True, True, 4 * _K, Onlines.NOBODY),
        "arm64": Guest("", True, True, 4 * _K, Onlines.NOBODY),
    },
    # R: linux-image 6.12.95 of bookworm-backports, both booted.
    "debian-12-backports": {
        "amd64": Guest("", True, True, 4 * _K, Onlines.ITSELF),
        "arm64": Guest("", False, True, 4 * _K, Onlines.NOBODY),
    },
    # R: config of linux-image 6.12.117; changelog of 6.12.111-1, "Replace
    # MEMORY_HOTPLUG_DEFAULT_ONLINE settings". arm64 cloud booted.
    "debian-13": {
        "amd64": Guest("", True, True, 4 * _K, Onlines.ITSELF),
        "arm64": Guest("", False, True, 4 * _K, Onlines.ITSELF, "linux-image 6.12.111-1"),
    },
    "debian-13-16k": {
        "arm64": Guest("", False, True, 16 * _K, Onlines.ITSELF, "linux-image 6.12.111-1"),
    },
    "debian-13-cloud": {
        "amd64": Guest("", True, True, 4 * _K, Onlines.ITSELF),
        "arm64": Guest("", True, True, 4 * _K, Onlines.ITSELF, "linux-image 6.12.111-1"),
    },
    # R: config of linux-image 7.2.12; online by itself since 6.17.2-1~exp1.
    "debian-testing": {
        "amd64": Guest("", True, True, 4 * _K, Onlines.ITSELF),
        "arm64": Guest("", False, True, 4 * _K, Onlines.ITSELF),
    },
    "debian-testing-cloud": {
        "amd64": Guest("", True, True, 4 * _K, Onlines.ITSELF),
        "arm64": Guest("", True, True, 4 * _K, Onlines.ITSELF),
    },
    # S: openela-main/kernel el8, SOURCES/kernel-*.config (4.18.0-513); x86_64 of 4.18.0-477 has no
    # virtio-mem (MafSam/centos c8). udev: 40-redhat.rules, systemd-rhel pull request 281.
    "rhel-8": {
        "x86_64": Guest("", True, True, 4 * _K, Onlines.UDEV, "8.9 for virtio-mem"),
        "aarch64": Guest("", True, False, 64 * _K, Onlines.UDEV),
    },
    # S: openela-main/kernel el9, 5.14.0-362.
    "rhel-9": {
        "x86_64": Guest("", True, True, 4 * _K, Onlines.UDEV),
        "aarch64": Guest("", True, True, 4 * _K, Onlines.UDEV),
    },
    "rhel-9-64k": {"aarch64": Guest("", True, True, 64 * _K, Onlines.UDEV)},
    # S: MafSam/centos c10s-sig-hyperscale, 6.11.
    "centos-stream-10": {
        "x86_64": Guest("", True, True, 4 * _K, Onlines.UDEV),
        "aarch64": Guest("", True, True, 4 * _K, Onlines.UDEV),
    },
    # S: ClangBuiltLinux/rpms_kernel 7.2-rc6, edgelesssys/constellation-kernel 6.1.
    "fedora": {
        "x86_64": Guest("", True, True, 4 * _K, Onlines.ITSELF),
        "aarch64": Guest("", True, True, 4 * _K, Onlines.ITSELF),
    },
    # S: particle-iot/tachyon-ubuntu-24.04-kernel debian.master/config/annotations; online by
    # itself: LP #1848492.
    "ubuntu-24.04": {
        "amd64": Guest("", True, None, 4 * _K, Onlines.ITSELF),
        "arm64": Guest("", True, None, 4 * _K, Onlines.ITSELF),
    },
    # S: SUSE/kernel-source config/arm64/default@02397b9, 6.12; 80-hotplug-cpu-mem.rules.
    "suse-16": {"aarch64": Guest("", True, None, 4 * _K, Onlines.UDEV)},
    # S: alpinelinux/aports main/linux-lts/virt.aarch64.config@0130e7a.
    "alpine": {"aarch64": Guest("", True, True, None, Onlines.ITSELF)},
}


def names() -> tuple[str, ...]:
    """Return what a layout may write: with the architecture, and without."""
    spelled = {f"{name}-{arch}" for name, rows in PRESETS.items() for arch in rows}
    return tuple(sorted({*PRESETS, *spelled}))


def arches(name: str) -> tuple[str, ...]:
    """Return QEMU's names of the architectures a preset has kernels for."""
    return tuple(_SPELLED[arch] for base, arch in _rows(name) if base)


def spelled(name: str) -> tuple[str, ...]:
    """Return a preset's name with each of its architectures."""
    return tuple(f"{base}-{arch}" for base, arch in _rows(name))


def find_preset(name: str, target: str) -> Guest | None:
    """Return a preset's kernel for a QEMU target; None where there is none.

    :param target: ``aarch64``; empty for a board of no architecture in particular, where the name
        has to say it or leave no choice.
    """
    rows = [(base, arch) for base, arch in _rows(name) if target in ("", _SPELLED[arch])]
    if len(rows) != 1:
        return None
    base, arch = rows[0]
    return replace(PRESETS[base][arch], preset=name)


def _rows(name: str) -> list[tuple[str, str]]:
    """Return the rows a name means, as name without architecture and architecture."""
    if name in PRESETS:
        return [(name, arch) for arch in PRESETS[name]]
    base, _, arch = name.rpartition("-")
    return [(base, arch)] if arch in PRESETS.get(base, {}) else []
