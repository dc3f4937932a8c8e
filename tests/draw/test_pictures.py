"""Scenes as text, SVG, HTML, GraphML and JSON: golden, well-formed, from nowhere but themselves."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import networkx as nx
import pytest
from kit import ROOT, Golden
from kit.plan_cases import plan_of_text, shipped

from planner.draw.columns import exhibit_columns, scene_of
from planner.draw.exhibit import of_map, of_plan
from planner.draw.export import scene_graphml, scene_json
from planner.draw.html import Assets, html_page
from planner.draw.palette import style_sheet
from planner.draw.scene import Scene, Style, make_scene
from planner.draw.scene_text import scene_text
from planner.draw.svg import svg_text
from planner.host.profile import Scope
from planner.judge.forbidden import bind
from planner.region import GuestMap, Kind, Origin, Region
from planner.span import Span

SVG = "{http://www.w3.org/2000/svg}"
SHORT = Assets("/* style */\n", "// script\n")
LAYOUTS = ["arm-guest-on-amd", "arm-fleet", "x86-terabyte-on-amd"]


def drawn(name: str) -> Scene:
    # Hosts by relative names: origins are in the picture, and no golden tells where it was made.
    text = (ROOT / "layouts" / f"{name}.yaml").read_text(encoding="utf-8")
    hosts = [shipped(host) for host in re.findall(r"hosts/([\w-]+)\.yaml", text)]
    return scene_of(of_plan(plan_of_text(text, hosts)))


def hostile() -> Scene:
    """Return a scene whose names do all they can."""
    evil = "</script><script>alert(1)</script>\"'&]]>\x1b[31m\x00\u202e\ud800"
    region = Region(Span(0, 4096), evil, Kind.RAM, Origin(evil))
    guest = GuestMap("layout", evil, "", (region,), notes=(evil,))
    return scene_of(of_map(evil, guest, None))


@pytest.mark.parametrize("name", LAYOUTS)
def test_svg_is_golden_and_well_formed(name: str, golden: Golden) -> None:
    text = svg_text(drawn(name))
    golden(f"draw/pictures/{name}.svg", text)
    root = ET.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert text == svg_text(drawn(name))


@pytest.mark.parametrize("name", LAYOUTS)
def test_text_is_golden(name: str, golden: Golden) -> None:
    golden(f"draw/pictures/{name}.txt", scene_text(drawn(name)))


def test_text_in_ascii(golden: Golden) -> None:
    text = scene_text(drawn("arm-guest-on-amd"), ascii_only=True)
    golden("draw/pictures/arm-guest-on-amd-ascii.txt", text)
    assert text.isascii()


def test_html_is_golden(golden: Golden) -> None:
    golden("draw/pictures/x86-terabyte-on-amd.html", html_page(drawn("x86-terabyte-on-amd"), SHORT))


def test_graphml_is_golden_and_read_back(golden: Golden) -> None:
    text = scene_graphml(drawn("arm-fleet"))
    golden("draw/pictures/arm-fleet.graphml", text)
    made = nx.parse_graphml(text)
    # That memory as asked meets the D05's doorbell is an edge, with the bytes they share.
    edge = made.edges["as asked/mach-virt.ram", "hisilicon-d05/msi@0xc6010000-0xc601ffff"]
    assert edge == {"base": "0xc6010000", "last": "0xc601ffff"}
    assert len(made) == sum(1 for b in drawn("arm-fleet").boxes if b.style is not Style.USABLE)


def test_json_has_every_column_and_collision() -> None:
    data = scene_json(drawn("arm-guest-on-amd"))
    assert data == json.loads(json.dumps(data))
    assert (data["format"], data["version"]) == ("guestmap/show", 1)
    assert [column["role"] for column in data["columns"]] == ["guest", "guest", "host", "usable"]
    assert data["collisions"] == [
        {
            "guest": "mach-virt.ram as asked",
            "host": "msi of puchatek",
            "base": "0xfee00000",
            "last": "0xfeefffff",
            "size": "0x100000",
        }
    ]


class Words(HTMLParser):
    """Counts elements and sees that they close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(text: str) -> Words:
    words = Words()
    words.feed(text)
    words.close()
    assert words.open == []
    return words


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_box_has_its_row_and_its_words(name: str) -> None:
    scene = drawn(name)
    tags = parsed(html_page(scene, SHORT)).tags
    rows = {attrs["data-box"] for tag, attrs in tags if tag == "tr" and "data-box" in attrs}
    boxes = {attrs["id"]: attrs for tag, attrs in tags if attrs.get("role") == "listitem"}
    assert rows == set(boxes) == {f"box-{box.id}" for box in scene.boxes}
    assert {attrs["aria-label"] for attrs in boxes.values()} == {b.words for b in scene.boxes}
    assert all(attrs["tabindex"] == "-1" for attrs in boxes.values())


def test_pictures_fetch_nothing() -> None:
    shipped_assets = Assets(
        (ROOT / "planner/draw/page.css").read_text(encoding="utf-8"),
        (ROOT / "planner/draw/page.js").read_text(encoding="utf-8"),
    )
    for text in (svg_text(drawn("arm-fleet")), html_page(drawn("arm-fleet"), shipped_assets)):
        bare = text.replace('xmlns="http://www.w3.org/2000/svg"', "")
        assert not re.search(r"https?:|//[a-z]+\.|@import|@font-face|\ssrc=|<link|<img", bare)
        assert set(re.findall(r"url\(([^)]*)\)", bare)) <= {"#gm-hatch", "#gm-cross"}


def test_the_page_allows_its_own_script_only() -> None:
    text = html_page(drawn("x86-terabyte-on-amd"), SHORT)
    (script,) = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text


def test_hostile_names_are_only_words() -> None:
    scene = hostile()
    ET.fromstring(svg_text(scene))
    ET.fromstring(scene_graphml(scene))
    page = html_page(scene, SHORT)
    tags = parsed(page).tags
    assert sum(tag == "script" for tag, _ in tags) == 1
    for text in (svg_text(scene), page, scene_graphml(scene), scene_text(scene)):
        assert not set(text) & {"\x1b", "\x00", "\u202e", "\ud800"}


def _luminance(color: str) -> float:
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("style", list(Style))
def test_words_on_boxes_can_be_read(style: Style, theme: str) -> None:
    """WCAG 2.1, 1.4.3: a contrast of 4.5 to 1."""
    light, _, dark = style_sheet().partition("@media screen")
    sheet = light if theme == "light" else dark
    rule = re.search(rf"\.{style} rect\.body {{ fill: (#\w+)", sheet)
    ink = re.search(rf"\.{style} text {{ fill: (#\w+)", sheet)
    assert rule
    assert ink
    low, high = sorted((_luminance(rule[1]), _luminance(ink[1])))
    assert (high + 0.05) / (low + 0.05) >= 4.5


def test_collisions_forbidden_and_the_rest_differ_without_colour() -> None:
    root = ET.fromstring(svg_text(drawn("arm-guest-on-amd")))
    hatched = root.findall(f".//{SVG}g[@class='box hole']/{SVG}rect[@fill='url(#gm-hatch)']")
    crossed = root.findall(f".//{SVG}rect[@class='clash over']")
    assert len(hatched) == 2
    assert len(crossed) == 2
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert "✖ collision · 1 MiB" in words
    assert ".gm rect.clash { fill: url(#gm-cross)" in style_sheet()


def test_long_names_are_cut_in_the_picture_and_whole_in_the_tooltip() -> None:
    name = "a" * 200
    region = Region(Span(0, 4096), name, Kind.RAM, Origin("here"))
    root = ET.fromstring(svg_text(scene_of(of_map("t", GuestMap("m", "c", "", (region,)), None))))
    cut = [text.text or "" for text in root.iter(f"{SVG}text") if "aaa" in (text.text or "")]
    assert cut
    assert all(len(text) < 60 and text.endswith("…") for text in cut)
    assert any(name in (title.text or "") for title in root.iter(f"{SVG}title"))


def test_a_host_alone_is_a_picture(golden: Golden) -> None:
    binding = bind([shipped("hp-gen9")], Scope.HOST, ())
    golden("draw/pictures/hp-gen9.txt", scene_text(scene_of(of_map("hp-gen9", None, binding))))


def test_an_empty_map_is_a_picture() -> None:
    scene = scene_of(of_map("nothing", GuestMap("layout", "custom", "", ()), None))
    ET.fromstring(svg_text(scene))
    parsed(html_page(scene, SHORT))
    assert "nothing: custom, no memory" in scene_text(scene)


def test_columns_of_one_title_keep_their_nodes_apart() -> None:
    region = Region(Span(0, 4096), "r", Kind.RAM, Origin("here"))
    (column,) = exhibit_columns(of_map("t", GuestMap("m", "c", "", (region,)), None))
    twice = make_scene("t", (), [column, replace(column, key="other")])
    assert sorted(nx.parse_graphml(scene_graphml(twice))) == [
        *("guest/r@0x0-0xfff#0", "guest/r@0x0-0xfff#1")
    ]
