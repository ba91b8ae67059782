import base64
from html.parser import HTMLParser

from twinsight.report.page import Picture, Section, Table, write_page

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
        self.inside = tag in ("td", "th")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.cells.append(data)


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
