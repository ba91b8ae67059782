"""The site: links, anchors and pictures are there, each page is navigated to, nothing is fetched from elsewhere."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

import twinsight
from twinsight.options.choices import choices_of
from twinsight.options.commands import COMMANDS
from twinsight.options.probes import PROBES

ROOT = Path(__file__).parents[1]
LOADED = {"img": "src", "script": "src", "iframe": "src", "source": "src"}
"""What a browser fetches by itself."""


class Page(HTMLParser):
    """ids: anchors. links: what a reader may follow. loads: what a browser fetches. text: all words."""

    def __init__(self, file: Path):
        super().__init__()
        self.ids, self.links, self.loads, self.text = set(), [], [], ""
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids.add(given.get("id"))
        if tag == "a" and given.get("href"):
            self.links.append(given["href"])
        elif tag == "link" and given.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(given["href"])
        elif tag in LOADED and given.get(LOADED[tag]):
            self.loads.append(given[LOADED[tag]])

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """name -> `Page`, of a site built from a copy, without a network."""
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "zensical.toml", folder)  # behind a link, Zensical would build where the link points
    for name in ("recipes", "src", "tools", "CHANGELOG.md", "CONTRIBUTING.md"):
        (folder / name).symlink_to(ROOT / name)
    offline = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    built = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "--clean"],
        cwd=folder, env=os.environ | offline | {"PYTHONPATH": f"{ROOT / 'src'}"}, capture_output=True, text=True,
    )  # fmt: skip
    assert built.returncode == 0, f"{built.stdout}\n{built.stderr}"[-3000:]
    files = {str(file.relative_to(folder / "site")): file for file in (folder / "site").rglob("*") if file.is_file()}
    return {name: Page(file) if name.endswith(".html") else None for name, file in files.items()}


def pages(site):
    return {name: page for name, page in site.items() if page is not None and name != "404.html"}


def navigated(entry):
    if isinstance(entry, str):
        return [entry]
    return [page for each in (entry if isinstance(entry, list) else entry.values()) for page in navigated(each)]


def test_each_page_is_in_the_navigation_once():
    nav = navigated(tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]["nav"])
    assert sorted(nav) == sorted(page.relative_to(ROOT / "docs").as_posix() for page in ROOT.glob("docs/**/*.md"))


def test_links_anchors_and_pictures_are_there(site):
    found = pages(site)
    for name, page in found.items():
        for link in page.links + page.loads:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = os.path.normpath(Path(name).parent / unquote(parts.path)) if parts.path else name
            assert target in site or os.path.normpath(f"{target}/index.html") in site, f"{name}: {link}"
            if parts.fragment and target in found:
                assert parts.fragment in found[target].ids, f"{name}: {link}"


def test_nothing_is_fetched_from_elsewhere(site):
    assert [load for page in pages(site).values() for load in page.loads if urlsplit(load).netloc] == []


def test_every_line_was_filled_in(site):
    """A comment that names no known generator would stay a comment."""
    marked = re.compile(r"^<!-- (?!options |views |about |numbers |reading |recipes |include |api )", re.M)
    assert [page for page in ROOT.glob("docs/**/*.md") if marked.search(page.read_text(encoding="utf-8"))] == []


def test_everything_that_can_be_chosen_has_its_place(site):
    found = pages(site)
    assert {f"probes/{name}.html" for name in PROBES} <= found.keys()
    tables = {
        kind: table for command in ("pretrain", "segment") for kind, table in choices_of(COMMANDS[command]).items()
    }
    for kind, page in {"method": "methods", "head": "heads", "data": "data"}.items():
        assert tables[kind].keys() <= found[f"{page}.html"].ids
    assert {recipe.stem for recipe in ROOT.glob("recipes/*.yaml")} <= found["recipes.html"].ids
    assert {name.lower() for name in twinsight.__all__} <= found["api.html"].ids


def test_each_probe_page_has_a_picture_and_how_it_misleads(site):
    for name in PROBES:
        page = pages(site)[f"probes/{name}.html"]
        assert any("images/" in load for load in page.loads), name
        assert "How it misleads" in page.text, name


def test_pictures_are_used(site):
    shown = {Path(load).name for page in pages(site).values() for load in page.loads}
    assert {file.name for file in (ROOT / "docs/images").iterdir()} <= shown
