"""The pictures in a real browser: headless Chromium lays them out, runs the script, prints."""

from __future__ import annotations

import html
import json
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import pytest
from kit import ROOT
from kit.plan_cases import plan_of_text

from planner.draw.columns import scene_of
from planner.draw.exhibit import of_plan
from planner.draw.html import Assets, html_page
from planner.draw.scene import Scene
from planner.draw.svg import svg_text

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("browser")]

ASSETS = Assets(
    (ROOT / "planner/draw/page.css").read_text(encoding="utf-8"),
    (ROOT / "planner/draw/page.js").read_text(encoding="utf-8"),
)
DARK, LIGHT = "preferredColorScheme=0", "preferredColorScheme=1"

#: Works the page as a person does and keeps what was seen; part of the script, since the page's
#: policy lets no other run.
DRIVER = """
(() => {
  const seen = {};
  const stage = document.querySelector(".stage");
  const svg = stage.querySelector("svg");
  const detail = document.querySelector(".detail");
  const box = (words) =>
    [...svg.querySelectorAll(".box")].find((b) => b.dataset.words.startsWith(words));
  const height = (words) => Number(box(words).querySelector("rect").getAttribute("height"));
  const key = (name) =>
    document.activeElement.dispatchEvent(
      new KeyboardEvent("keydown", { key: name, bubbles: true }));
  const click = (id) => document.getElementById(id).click();
  const labels = () =>
    [...svg.querySelectorAll(".step")]
      .filter((s) => !s.hasAttribute("display"))
      .map((s) => s.querySelector("text"))
      .filter((t) => !t.hasAttribute("display"))
      .map((t) => Number(t.getAttribute("y")));
  const closest = (list) => Math.min(...list.slice(1).map((y, i) => y - list[i]));

  seen.toolbar = !document.querySelector(".toolbar").hidden;
  seen.detailAtFirst = detail.hidden;
  const collision = svg.querySelector(".collision rect").getBoundingClientRect();
  seen.collision = [collision.width > 50, collision.height > 20];
  seen.overflow = [...svg.querySelectorAll(".box")].filter((b) => {
    const room = b.querySelector("rect").getBoundingClientRect();
    return [...b.querySelectorAll("text")].some((t) => {
      const text = t.getBoundingClientRect();
      return text.width > 0 && (text.right > room.right + 1 || text.bottom > room.bottom + 2);
    });
  }).map((b) => b.dataset.words);
  seen.closest = closest(labels());
  seen.tabStops = svg.querySelectorAll("[tabindex='0']").length;

  box("mach-virt.ram: ram, [0x40000000-0xf7ffffff]").dispatchEvent(
    new PointerEvent("pointerover", { bubbles: true }));
  seen.hover = detail.innerText;

  box("virt.flash0").focus();
  key("ArrowDown");
  seen.down = document.activeElement.dataset.words;
  key("ArrowRight");
  seen.right = document.activeElement.closest(".column").dataset.column;
  seen.row = document.querySelectorAll("tr.picked").length;

  const before = height("msi");
  click("zoom-in");
  click("zoom-in");
  seen.zoomed = stage.classList.contains("zoomed");
  document.getElementById("address").value = "0xfee0_1000";
  document.getElementById("go").requestSubmit();
  seen.grown = height("msi") / before;
  seen.at = detail.innerText;
  seen.away = box("virt.flash0").hasAttribute("display");
  document.getElementById("address").value = "fee";
  document.getElementById("go").requestSubmit();
  seen.wrong = detail.innerText;
  click("zoom-whole");
  seen.back = height("msi") === before;

  const wheel = (options) =>
    stage.dispatchEvent(new WheelEvent("wheel", { bubbles: true, cancelable: true, ...options }));
  seen.plainWheelIsThePages = wheel({ deltaY: 100 });
  seen.wheelZooms = !wheel({ deltaY: -400, ctrlKey: true }) && stage.matches(".zoomed");
  click("zoom-whole");

  const scale = document.getElementById("scale");
  scale.value = "true";
  scale.dispatchEvent(new Event("change"));
  seen.trueSize = height("pci-mmio64") / height("reserved");
  seen.trueClosest = closest(labels());
  scale.value = "folded";
  scale.dispatchEvent(new Event("change"));

  const check = (value) => document.querySelector(`input[value="${value}"]`).click();
  const rows = () => document.querySelectorAll("tbody tr:not([hidden])").length;
  const all = rows();
  const width = svg.getBoundingClientRect().width;
  check("host0");
  seen.hostGone = box("msi").getBoundingClientRect().width === 0;
  seen.narrower = svg.getBoundingClientRect().width < width - 100;
  seen.fewerRows = all - rows();
  check("host0");
  check("io");
  seen.ioGone = box("pl011").getBoundingClientRect().width === 0;
  check("io");
  seen.allBack = rows() === all && svg.getBoundingClientRect().width === width;
  document.body.dataset.seen = JSON.stringify(seen);
})();
"""


def drawn(name: str) -> Scene:
    text = (ROOT / "layouts" / f"{name}.yaml").read_text(encoding="utf-8")
    return scene_of(of_plan(plan_of_text(text)))


def chromium(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    assert program, "no Chromium; on Debian: apt-get install --no-install-recommends chromium"
    return subprocess.run(
        [
            *(program, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
            *("--disable-dev-shm-usage", "--enable-logging=stderr"),
            f"--user-data-dir={page.parent / 'profile'}",
            *options,
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )


def page_of(folder: Path, scene: Scene, script: str = "") -> Path:
    page = folder / "page.html"
    text = html_page(scene, Assets(ASSETS.style, ASSETS.script + script))
    page.write_text(text, encoding="utf-8")
    return page


def console(run: subprocess.CompletedProcess[str]) -> list[str]:
    return [line for line in run.stderr.splitlines() if ":CONSOLE" in line]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    page = page_of(tmp_path_factory.mktemp("page"), drawn("arm-guest-on-amd"), DRIVER)
    run = chromium(page, "--window-size=1400,1000", "--dump-dom")
    assert console(run) == []
    found = re.search(r'data-seen="([^"]*)"', run.stdout)
    assert found, "the driver did not come to its end"
    data: dict[str, Any] = json.loads(html.unescape(found[1]))
    return data


def test_the_script_runs_and_shows_its_tools(seen: dict[str, Any]) -> None:
    assert seen["toolbar"]
    assert seen["detailAtFirst"]
    assert seen["tabStops"] == 1


def test_everything_can_be_read(seen: dict[str, Any]) -> None:
    assert seen["overflow"] == []
    assert seen["collision"] == [True, True]
    assert seen["closest"] >= 13
    assert seen["trueClosest"] >= 13


def test_hovering_reads_a_region(seen: dict[str, Any]) -> None:
    for words in ("mach-virt.ram", "0x40000000", "0xf7ffffff", "2944 MiB", "QEMU 7.2 hw/core/"):
        assert words in seen["hover"]


def test_the_keyboard_walks(seen: dict[str, Any]) -> None:
    assert seen["down"].startswith("virt.flash1")
    assert seen["right"] == "host0"
    assert seen["row"] == 1


def test_zooming_and_going_to_an_address(seen: dict[str, Any]) -> None:
    assert seen["zoomed"]
    assert seen["grown"] > 3
    assert seen["away"]
    assert "At 0xfee01000" in seen["at"]
    assert "MSI doorbell" in seen["at"]
    assert "msi: forbidden" in seen["at"]
    assert "'fee' is no 64-bit address; write 0xfee00000" in seen["wrong"]
    assert seen["back"]
    assert seen["plainWheelIsThePages"]
    assert seen["wheelZooms"]


def test_true_to_size(seen: dict[str, Any]) -> None:
    """The PCI window has 512 GiB and the range that is reserved in it 12 GiB."""
    assert 512 / 12 * 0.8 < seen["trueSize"] < 512 / 12 * 1.3


def test_filters(seen: dict[str, Any]) -> None:
    assert seen["hostGone"]
    assert seen["narrower"]
    assert seen["fewerRows"] == 2
    assert seen["ioGone"]
    assert seen["allBack"]


def pixels(png: Path) -> tuple[int, int, set[tuple[int, int, int]], tuple[int, int, int]]:
    """Return width, height, the colours of a screenshot, and that of its first pixel."""
    data = png.read_bytes()
    width, height, depth, kind = struct.unpack(">IIBB", data[16:26])
    assert depth == 8
    step = {2: 3, 6: 4}[kind]
    at, packed = 8, b""
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += length + 12
    raw = zlib.decompress(packed)
    line = width * step
    above = bytearray(line)
    colors: set[tuple[int, int, int]] = set()
    first: tuple[int, int, int] | None = None
    for number in range(height):
        start = number * (line + 1)
        row = bytearray(raw[start + 1 : start + 1 + line])
        _unfilter(raw[start], row, above, step)
        above = row
        found = set(zip(row[::step], row[1::step], row[2::step], strict=True))
        colors |= found
        first = first or (row[0], row[1], row[2])
    assert first
    return width, height, colors, first


def _unfilter(kind: int, row: bytearray, above: bytearray, step: int) -> None:
    """Undo a PNG filter (PNG specification, 3rd edition, section 9.2)."""
    if kind == 0:
        return
    for i in range(len(row)):
        left = row[i - step] if i >= step else 0
        up = above[i]
        corner = above[i - step] if i >= step else 0
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = up
        elif kind == 3:
            guess = (left + up) // 2
        else:
            near = left + up - corner
            guess = min((left, up, corner), key=lambda value: abs(near - value))
        row[i] = (row[i] + guess) & 0xFF


def shot(page: Path, theme: str) -> tuple[set[tuple[int, int, int]], tuple[int, int, int]]:
    image = page.with_suffix(".png")
    run = chromium(
        page,
        *(f"--blink-settings={theme}", "--window-size=700,400", f"--screenshot={image}"),
    )
    assert console(run) == []
    _, _, colors, first = pixels(image)
    return colors, first


def rgb(text: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(text)
    return red, green, blue


@pytest.mark.parametrize(
    ("theme", "paper", "memory"),
    [(LIGHT, "ffffff", "b5e3d3"), (DARK, "14181e", "0d4a3a")],
    ids=["light", "dark"],
)
def test_svg_is_drawn_light_and_dark(theme: str, paper: str, memory: str, tmp_path: Path) -> None:
    drawing = tmp_path / "map.svg"
    drawing.write_text(svg_text(drawn("x86-terabyte-on-amd")), encoding="utf-8")
    colors, first = shot(drawing, theme)
    assert first == rgb(paper)
    assert rgb(memory) in colors


@pytest.mark.parametrize(
    ("theme", "ground"), [(LIGHT, "f5f7f9"), (DARK, "0e1116")], ids=["light", "dark"]
)
def test_the_page_is_drawn_light_and_dark(theme: str, ground: str, tmp_path: Path) -> None:
    _, first = shot(page_of(tmp_path, drawn("x86-terabyte-on-amd")), theme)
    assert first == rgb(ground)


def test_the_page_prints_with_picture_and_table(tmp_path: Path) -> None:
    page = page_of(tmp_path, drawn("arm-guest-on-amd"))
    paper = tmp_path / "page.pdf"
    chromium(page, "--no-pdf-header-footer", f"--print-to-pdf={paper}")
    boxes = re.findall(rb"/MediaBox \[([^\]]*)\]", paper.read_bytes())
    sizes = [tuple(map(float, box.split()[2:])) for box in boxes]
    assert sizes[0][1] > sizes[0][0], "the picture stands upright"
    assert sizes[-1][0] > sizes[-1][1], "the table is printed wide"
    assert len(sizes) <= 5
