import base64
import re
from html.parser import HTMLParser
from io import BytesIO

import pytest
from PIL import Image

from twinsight.errors import UserError
from twinsight.report.page import Fold, Picture, Section, Table, write_page

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Resources(HTMLParser):
    """Everything that a browser would fetch, and all cells."""

    def __init__(self):
        super().__init__()
        self.urls, self.cells, self.images = [], [], []
        self.inside = False

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.urls += [attrs[name] for name in ("src", "href", "srcset", "action", "data") if name in attrs]
        self.images += [attrs] if tag == "img" else []
        self.inside = self.inside or tag in ("td", "th")

    def handle_endtag(self, tag):
        self.inside = self.inside and tag not in ("td", "th")

    def handle_data(self, data):
        if self.inside:
            self.cells += [data.strip()] if data.strip() else []


def test_page_is_self_contained_and_escapes_what_it_is_given(tmp_path):
    (tmp_path / "dot.png").write_bytes(PNG)
    sections = [
        Section("Scores", parts=[Table(("class", "IoU"), [("cat & <dog>", "41.0")], "In percent.")]),
        Section("Look", parts=[Picture(tmp_path / "dot.png", "one dot", "A dot.", "it is small.")]),
        Section("Again", commands=["twinsight demo --out 'a b'"]),
    ]
    write_page(tmp_path / "index.html", "A <title>", "lead", sections, "python: 3")
    html = (tmp_path / "index.html").read_text()
    page = Resources()
    page.feed(html)
    assert page.cells == ["class", "IoU", "cat & <dog>", "41.0"]
    assert page.urls
    assert all(url.startswith("data:") for url in page.urls)
    assert page.images[0]["alt"] == "one dot"
    assert base64.b64decode(page.images[0]["src"].partition(",")[2]) == PNG
    assert "A &lt;title&gt;" in html
    assert "url(" not in html
    assert "@import" not in html
    assert "Beware:" in html


def test_columns_of_numbers_are_known_by_their_cells():
    table = Table(("", "IoU", "step", "mixed", "none"), [("a", "41.0", "1e-3", "1", ""), ("b", "", "-", "x", "-")])
    assert table.numeric == [False, True, True, False, True]


def test_an_animation_stands_still_where_motion_is_unwelcome(tmp_path):
    frames = [Image.new("RGB", (30, 20), color) for color in ("red", "blue")]
    frames[0].save(tmp_path / "move.gif", save_all=True, append_images=frames[1:], duration=100)
    write_page(tmp_path / "page.html", "t", "l", [Section("s", parts=[Picture(tmp_path / "move.gif", "moves")])])
    html = (tmp_path / "page.html").read_text()
    still = re.search(r'media="\(prefers-reduced-motion: reduce\)" srcset="data:image/webp;base64,(.*?)"', html)
    assert still is not None
    red, _, blue = Image.open(BytesIO(base64.b64decode(still[1]))).getpixel((15, 10))
    assert blue > 200 > 50 > red
    assert 'src="data:image/gif;base64,' in html
    assert 'width="30" height="20"' in html


def test_a_figure_takes_the_room_that_its_resolution_asks(tmp_path):
    Image.new("RGB", (200, 100)).save(tmp_path / "figure.png", dpi=(200, 200))
    write_page(tmp_path / "page.html", "t", "l", [Section("s", parts=[Picture(tmp_path / "figure.png", "x")])])
    assert 'width="120" height="60"' in (tmp_path / "page.html").read_text()


def test_many_sections_have_a_table_of_contents(tmp_path):
    write_page(tmp_path / "page.html", "t", "l", [Section(f"Part & {i}", parts=[Fold("more", [])]) for i in range(5)])
    html = (tmp_path / "page.html").read_text()
    for i in range(5):
        assert f'<a href="#s{i + 1}">Part &amp; {i}</a>' in html
        assert f'<section id="s{i + 1}">\n<h2>Part &amp; {i}</h2>' in html


def test_unknown_kind_of_figure(tmp_path):
    (tmp_path / "figure.bmp").touch()
    with pytest.raises(UserError, match=r"figure\.bmp.*\.png"):
        write_page(tmp_path / "page.html", "t", "l", [Section("s", parts=[Picture(tmp_path / "figure.bmp", "x")])])
