import numpy as np
import pytest

from twinsight.data.samples import VOID, Sample
from twinsight.errors import UserError
from twinsight.probes.draw import curves, overlay
from twinsight.probes.grids import class_legend, contact_sheet, drawn_of, image_grid, letterbox, pick

PALETTE = np.array([[0, 0, 0], [200, 0, 100], [0, 50, 250]], np.uint8)


def test_overlay_mixes_colors_with_pale_gray_and_leaves_void_and_black_gray():
    image = np.zeros((9, 27, 3), np.uint8)
    image[...] = (200, 0, 0)  # its luma is 60
    mask = np.repeat(np.array([[0, 1, VOID]], np.uint8), 9, 1).repeat(9, 0).reshape(9, 27)
    gray = round(70 + 60 * (255 - 70) / 255)
    found = overlay(image, mask, PALETTE, 0.25)
    assert (found[:, :9] == gray).all()
    assert (found[:, 18:] == gray).all()
    expected = 0.75 * gray + 0.25 * PALETTE[1]
    assert abs(found[4, 13] - expected).max() <= 1
    assert (found[:, [9, 17]] == PALETTE[1]).all()  # its border


def test_overlay_at_full_opacity_shows_the_palette():
    mask = np.array([[1, 2]], np.uint8)
    assert (overlay(np.zeros((1, 2, 3), np.uint8), mask, PALETTE, 1.0) == PALETTE[mask]).all()


@pytest.mark.parametrize(("height", "width"), [(10, 40), (40, 10), (33, 33), (1, 200)])
def test_letterbox_keeps_the_whole_image_and_its_proportions(height, width):
    image = np.zeros((height, width, 3), np.uint8)
    canvas = letterbox(image, aspect=0.75, width=100)
    rows, columns = np.nonzero((canvas == 0).all(-1))
    assert canvas.shape == (75, 100, 3)
    shown = (np.ptp(rows) + 1, np.ptp(columns) + 1)
    scale = min(75 / height, 100 / width)
    assert shown == (max(1, round(height * scale)), max(1, round(width * scale)))


@pytest.mark.parametrize(
    ("count", "most", "expected"), [(3, 12, [0, 1, 2]), (9, 3, [0, 4, 8]), (5, 0, [0]), (1, 4, [0])]
)
def test_a_figure_shows_at_most_so_many_images(count, most, expected):
    assert pick(count, most) == expected


def test_a_note_says_how_many_are_drawn():
    assert drawn_of(12, 12) == ""
    image = np.zeros((20, 30, 3), np.uint8)
    figure = image_grid([[image]], note=drawn_of(12, 60)).figure()
    assert figure.legends[0].get_title().get_text() == "12 of 60 images are drawn, evenly chosen"


def test_legend_names_only_what_has_a_color():
    assert list(class_legend([0, 2], ("background", "a", "b"), PALETTE)) == ["b"]


def text_boxes(figure):
    """Extents of all visible texts, and of the figure, in pixels."""
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(lambda artist: hasattr(artist, "get_text")) if text.get_text()]
    return [text.get_window_extent() for text in texts if text.get_visible()], figure.bbox


def test_no_label_of_an_image_grid_is_cut():
    image = np.zeros((20, 30, 3), np.uint8)
    legend = {f"a rather long class name {i}": np.array([i, 0, 0]) for i in range(21)}
    figure = image_grid([[image] * 3] * 2, ["first", "second", "third"], ["row one", "row two"], legend)
    boxes, whole = text_boxes(figure.figure())
    assert len(boxes) >= 21 + 3 + 2
    for box in boxes:
        assert box.x0 >= whole.x0 - 1
        assert box.x1 <= whole.x1 + 1
        assert box.y0 >= whole.y0 - 1
        assert box.y1 <= whole.y1 + 1


def test_contact_sheet_of_images_of_any_shape(tmp_path):
    rng = np.random.default_rng(0)
    samples = [
        Sample(rng.integers(0, 255, (h, w, 3), np.uint8), np.ones((h, w), np.uint8), str(h))
        for h, w in ((9, 30), (50, 20))
    ]
    contact_sheet(samples, ("background", "a", "b"), PALETTE).save(tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("suffix", "magic"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".svg", b"<?xml"), (".jpg", b"\xff\xd8")]
)
def test_figures_are_written_in_the_format_of_their_name(tmp_path, suffix, magic):
    file = tmp_path / "new" / f"curve{suffix}"
    curves({"a": ([1, 2], [3, 4]), "b": ([1, 2], [2, 1])}, "x", "y").save(str(file))
    assert file.read_bytes().startswith(magic)
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_unknown_kind_of_figure(tmp_path):
    with pytest.raises(UserError, match=r"curve\.xyz.*\.png"):
        curves({"a": ([1], [1])}, "x", "y").save(tmp_path / "curve.xyz")
