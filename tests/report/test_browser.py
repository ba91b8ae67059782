"""The page in a real browser: Debian's chromium, driven by playwright."""

import re
import shutil
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from twinsight.probes.draw import curves
from twinsight.report.page import Fold, Gallery, Picture, Section, Table, write_page

api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not on the PATH")

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip

COLORS = """selector => {
    const colors = [...document.querySelectorAll(selector)].map(found => {
        let ground = found;
        while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
        return [getComputedStyle(found).color, getComputedStyle(ground).backgroundColor];
    });
    return colors;
}"""


@pytest.fixture(scope="module")
def browser():
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """A page with all that a report has, with long names and wide tables."""
    folder = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(0)
    frames = [Image.fromarray(rng.integers(0, 255, (300, 1440, 3), np.uint8)) for _ in range(2)]
    frames[0].save(folder / "wide.png", dpi=(200, 200))
    frames[0].resize((200, 200)).save(folder / "move.gif", save_all=True, append_images=frames[1:], duration=50)
    scores = [("b", "9.5", "x"), ("a", "", "y"), ("c10", "10.25", "-"), ("c9", "-3", "z"), ("d", "1e2", "w")]
    long = "an-extraordinarily-long-name-of-a-run-that-no-phone-has-room-for"
    wide = Table(("option", *[f"{long}-{i}" for i in range(4)]), [("data.root", *["/a/very/long/path" * 9] * 4)])
    picture = Picture(folder / "wide.png", "noise", "Read it.", "it lies.", long)
    chart, small = folder / "chart.png", folder / "chart.svg"
    for file in (chart, small):
        curves({"a": ([1, 2], [3, 4])}, "x", "y").save(file)
    sections = [
        Section("Scores", "Text.", [Table(("class", "IoU", "word"), scores, "In percent.")]),
        Section(long * 3, parts=[wide]),
        Section(
            "Figures", parts=[picture, Gallery([picture, Picture(folder / "move.gif", "moves")], "Both.", "none.")]
        ),
        Section("Chart", parts=[Picture(chart, "chart", narrow=small)]),
        Section("More", parts=[Fold("Earlier", [picture])]),
        Section("Again", commands=[f"twinsight segment --config '{long}' --run {long} --seed 0"]),
    ]
    write_page(folder / "a page.html", "A title", long, sections, f"system: {long * 4}")
    return (folder / "a page.html").as_uri()


@pytest.fixture
def page(browser, address, request):
    """The page, which must have asked for nothing and complained of nothing once the test is over."""
    page = browser.new_page(**getattr(request, "param", {}))
    complaints, requests = [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda asked: requests.append(asked.url))
    page.goto(address)
    yield page
    page.close()
    assert not complaints
    assert address in requests
    assert {url for url in requests if not url.startswith("data:")} == {address}


def column(page, number):
    return page.locator(f"table >> nth=0 >> tbody tr td:nth-child({number})").all_text_contents()


def test_a_click_sorts_numbers_as_numbers_and_missing_ones_last(page):
    button = page.get_by_role("button", name="IoU")
    head = page.get_by_role("columnheader", name="IoU")
    assert head.get_attribute("aria-sort") is None
    button.click()
    assert column(page, 2) == ["-3", "9.5", "10.25", "1e2", ""]
    assert column(page, 1) == ["c9", "b", "c10", "d", "a"]
    assert head.get_attribute("aria-sort") == "ascending"
    button.click()
    assert column(page, 2) == ["1e2", "10.25", "9.5", "-3", ""]
    assert head.get_attribute("aria-sort") == "descending"


def test_words_sort_by_keyboard_and_only_one_column_says_so(page):
    page.get_by_role("button", name="IoU").click()
    page.get_by_role("button", name="class").focus()
    page.keyboard.press("Enter")
    assert column(page, 1) == ["a", "b", "c9", "c10", "d"]
    assert page.locator("th[aria-sort]").all_text_contents() == ["class"]
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert column(page, 3) == ["w", "x", "y", "z", "-"]


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_overflows_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.locator("summary").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for box in page.locator("figure, h2, p, pre, .scroll").evaluate_all(
        "all => all.map(x => x.getBoundingClientRect())"
    ):
        assert box["right"] <= width
    shape = page.locator("figure img").first.evaluate("image => (image.clientWidth - 8) / (image.clientHeight - 8)")
    assert shape == pytest.approx(1440 / 300, rel=0.02)  # less a border of 4 pixels


def test_a_figure_opens_large_and_closes_again(page):
    page.set_viewport_size({"width": 360, "height": 800})
    small = page.locator("figure img").first.bounding_box()["width"]
    page.locator(".zoom").first.click()
    large = page.locator("dialog img")
    assert large.bounding_box()["width"] > 1.4 * small
    assert large.get_attribute("alt") == "noise"
    page.keyboard.press("Escape")
    assert not large.is_visible()


def luminance(color):
    """WCAG 2: of "rgb(r, g, b)"."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (int(value) / 255 for value in re.findall(r"\d+", color)[:3])
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_light_and_in_dark(page, scheme):
    page.emulate_media(color_scheme=scheme)
    page.get_by_role("button", name="IoU").click()
    colors = page.evaluate(COLORS, "h1, h2, h3, p, a, th, th button, td, figcaption, b, .note, summary, pre, code")
    assert len(colors) > 40
    assert (luminance(colors[0][1]) < 0.2) == (scheme == "dark")
    for ink, ground in colors:
        low, high = sorted([luminance(ink), luminance(ground)])
        assert (high + 0.05) / (low + 0.05) >= 4.5, f"{ink} on {ground}"


@pytest.mark.parametrize(
    ("width", "scheme", "kind"),
    [(1280, "light", "png"), (1280, "dark", "webp"), (390, "light", "svg"), (390, "dark", "svg")],
)
def test_charts_suit_the_screen(page, width, scheme, kind):
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme=scheme)
    chart = page.locator("img[alt=chart]")
    page.wait_for_function(
        "kind => document.querySelector('img[alt=chart]').currentSrc.includes('image/' + kind)", arg=kind
    )
    chart.scroll_into_view_if_needed()
    corner = Image.open(BytesIO(chart.screenshot())).convert("RGB").getpixel((9, 9))
    assert (max(corner) < 50) == (scheme == "dark")


def test_print_is_dark_on_white_and_nothing_is_cut(page):
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 680, "height": 960})  # A4 within its margins
    (ink, _), *_ = page.evaluate(COLORS, "h1")
    assert luminance(ink) < 0.05
    assert not page.locator("nav").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 680
    assert page.pdf().startswith(b"%PDF")


@pytest.mark.parametrize("page", [{"reduced_motion": "reduce"}], indirect=True)
def test_animations_stand_still_where_that_is_asked_for(page):
    assert page.locator("img[alt=moves]").evaluate("image => image.currentSrc").startswith("data:image/webp")


def test_everything_can_be_read_without_scripts(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    assert page.locator("figure img").first.is_visible()
    assert column(page, 1) == ["b", "a", "c10", "c9", "d"]
    context.close()
