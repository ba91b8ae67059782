import colorsys

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from twinsight.probes.dark import GROUND, dark_image, dark_svg, inverted
from twinsight.probes.draw import curves
from twinsight.probes.grids import Scale, image_grid

RED = np.array([200, 30, 40], np.uint8)


def picture(plot, tmp_path):
    plot.save(tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as light:
        dark = dark_image(light)
        return np.asarray(light), np.asarray(dark)


def test_hues_stay_and_lightness_turns_round():
    colors = np.random.default_rng(0).integers(0, 256, (50, 3), np.uint8)
    turned = inverted(colors[None])[0]
    span = [255 - ground for ground in GROUND]
    for before, after in zip(colors, turned):
        hue, light, _ = colorsys.rgb_to_hls(*(before / 255))
        without_ground = (after - np.array(GROUND)) / span
        other_hue, other_light, _ = colorsys.rgb_to_hls(*without_ground)
        assert other_light == pytest.approx(1 - light, abs=0.01)
        assert min(abs(hue - other_hue), 1 - abs(hue - other_hue)) < 0.05 or np.ptp(before) < 30
    assert tuple(inverted(np.full((1, 1, 3), 255, np.uint8))[0, 0]) == GROUND
    assert tuple(inverted(np.zeros((1, 1, 3), np.uint8))[0, 0]) == (255, 255, 255)


def test_pictures_scales_and_legends_stay_while_paper_turns_dark(tmp_path):
    image = np.full((40, 60, 3), RED)
    plot = image_grid([[image]], ["title"], legend={"a": RED}, scale=Scale("magma", 0, 1, "label"), side=3)
    light, dark = picture(plot, tmp_path)
    reds = (light == RED).all(-1)
    assert reds.mean() > 0.3
    assert (dark[reds] == RED).all()
    top = np.round(255 * np.array(colormaps["magma"](1.0)[:3])).astype(np.uint8)
    assert (dark == top).all(-1).sum() == (light == top).all(-1).sum() > 10
    assert (light[0, 0] == 255).all()
    assert tuple(dark[0, 0]) == GROUND
    assert (dark == 255).all(-1).sum() > (light == 0).all(-1).sum() / 2 > 10  # the title's letters


def test_a_chart_turns_as_a_whole(tmp_path):
    light, dark = picture(curves({"x": ([1, 2], [1, 2])}, "x", "y"), tmp_path)
    assert (dark == inverted(light)).all()


def test_an_image_that_does_not_say_where_its_pictures_are_has_no_dark_version(tmp_path):
    Image.new("RGB", (4, 4)).save(tmp_path / "other.png")
    with Image.open(tmp_path / "other.png") as image:
        assert dark_image(image) is None


def test_a_drawing_in_vectors(tmp_path):
    curves({"x": ([1, 2], [1, 2])}, "x", "y").save(tmp_path / "chart.svg")
    text = dark_svg((tmp_path / "chart.svg").read_text())
    assert "#16191d" in text
    assert "#ffffff" in text
    assert "text { fill: #ffffff }" in text
    assert "#0072b2" not in text.lower()
