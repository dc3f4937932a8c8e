"""Draw docs/images with headless Chromium: each layout in a terminal, as SVG, as an HTML page."""

from __future__ import annotations

import html
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAYOUTS = ("arm-guest-on-amd", "arm-fleet", "x86-terabyte-on-amd")
GUESTMAP = [sys.executable, "-m", "planner.cli"]
COLORS = {
    "31": "#ff6b68",
    "32": "#5fd38d",
    "33": "#e5b454",
    "34": "#6cb2ff",
    "36": "#5cd6d6",
}
PAGE = """<!doctype html><meta charset="utf-8"><style>
body { margin: 0; background: #16191e; color: #d7dce2; }
pre { margin: 0; padding: 18px 22px; width: max-content;
      font: 13px/17px "DejaVu Sans Mono", monospace; }
b { font-weight: 700; } i { font-style: normal; opacity: .55; }
</style>"""


def chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        found = shutil.which(name)
        if found:
            return found
    sys.exit("missing: chromium; on Debian: apt-get install --no-install-recommends chromium")


def shoot(page: Path, image: Path, width: int, height: int) -> None:
    with tempfile.TemporaryDirectory() as profile:
        subprocess.run(
            [
                *(chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"),
                *(f"--user-data-dir={profile}", f"--window-size={width},{height}"),
                *(f"--screenshot={image}", page.as_uri()),
            ],
            check=True,
            capture_output=True,
            timeout=60,
        )
    print(f"{image.relative_to(ROOT)}: {image.stat().st_size} bytes")


def terminal(text: str) -> str:
    """Return text with a terminal's colours as HTML."""
    parts = [PAGE, "<pre>"]
    for chunk in re.split(r"(\x1b\[[0-9;]*m)", text):
        codes = re.fullmatch(r"\x1b\[([0-9;]*)m", chunk)
        if not codes:
            parts.append(html.escape(chunk))
            continue
        for code in codes[1].split(";"):
            if code == "0":
                parts.append("</span></b></i>")
            elif code == "1":
                parts.append("<b>")
            elif code == "2":
                parts.append("<i>")
            elif code in COLORS:
                parts.append(f'<span style="color:{COLORS[code]}">')
    return "".join(parts) + "</pre>"


def main() -> None:
    images = ROOT / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in sys.argv[1:] or LAYOUTS:
            draw(name, Path(folder), images)


def draw(name: str, folder: Path, images: Path) -> None:
    layout = f"layouts/{name}.yaml"
    show = [*GUESTMAP, "show", layout]
    text = subprocess.run(
        [*show, "--color", "always"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout
    page = folder / f"{name}-terminal.html"
    page.write_text(terminal(text), encoding="utf-8")
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text).splitlines()
    width = round(max(map(len, plain)) * 7.83) + 44
    shoot(page, images / f"{name}-terminal.png", width, len(plain) * 17 + 36)

    drawing = folder / f"{name}.svg"
    subprocess.run([*show, str(drawing)], cwd=ROOT, check=True)
    size = re.search(r'width="(\d+)" height="(\d+)"', drawing.read_text(encoding="utf-8"))
    assert size
    shoot(drawing, images / f"{name}-svg.png", int(size[1]), int(size[2]))

    page = folder / f"{name}.html"
    subprocess.run([*show, str(page)], cwd=ROOT, check=True)
    shoot(page, images / f"{name}-html.png", max(int(size[1]) + 110, 1240), 1250)


main()
