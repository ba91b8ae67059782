"""CVAT's XML as datumaro 1.13.12 writes, reads and draws it; what datumaro does not write, by hand."""

import numpy as np
import pytest
from PIL import Image

from twinsight.data.exports.cvat import Cvat
from twinsight.errors import UserError
from twinsight.options.detect import detect


def test_shapes_are_drawn_as_datumaro_draws_them(tool, compare, tmp_path):
    root = tmp_path / "export"
    tool("write_cvat.py", root)
    assert detect(root) == "cvat"
    pairs = []
    for split, count in (("train", 4), ("val", 2)):
        dataset = Cvat(root, split=split)
        assert len(dataset) == count
        assert dataset.classes == ("background", "road", "car", "tree")
        for entry, (_, mask, _) in zip(dataset.entries, dataset):
            pairs.append((mask, np.load(root / "truth" / f"{entry.image.stem}.npy")))
    compare("CVAT for images 1.1", "datumaro 1.13.12", pairs)


HEAD = '<?xml version="1.0" encoding="utf-8"?>\n'
META = """<version>1.1</version><meta><job><labels>
<label><name>car</name><color>#ff0080</color><type>any</type><attributes></attributes></label>
<label><name>background</name><color>#2080ff</color></label>
</labels></job></meta>"""


def write(root, shapes, head=HEAD, meta=META):
    Image.new("RGB", (20, 12)).save(root / "a.jpg")
    image = f'<image id="0" name="a.jpg" subset="Train" width="20" height="12">{shapes}</image>'
    (root / "annotations.xml").write_text(f"{head}<annotations>{meta}{image}</annotations>")
    return root


def test_what_cvat_adds(tmp_path):
    shapes = """
    <mask label="car" occluded="0" rle="1, 2, 3, 1, 2" left="4" top="2" width="3" height="3" z_order="1"></mask>
    <box label="background" xtl="3.5" ytl="1.5" xbr="5.5" ybr="3.5" z_order="2"></box>
    <polyline label="car" points="1,1;5,5" z_order="0"></polyline>
    <points label="car" points="1,1" z_order="0"></points>"""
    dataset = Cvat(write(tmp_path, shapes), split="all")
    assert dataset.classes == ("background", "car")
    assert dataset.palette.tolist() == [[0x20, 0x80, 0xFF], [255, 0, 0x80]]
    assert dataset.split_note.endswith("left out: 1 shape of kind polyline, 1 shape of kind points")
    expected = np.zeros((12, 20), np.uint8)
    expected[2:5, 4:7] = [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    expected[2:4, 4:6] = 0
    np.testing.assert_array_equal(dataset.mask(0), expected)


def test_an_ellipse_covers_what_its_equation_says(tmp_path):
    ellipse = '<ellipse label="car" cx="9" cy="6" rx="6" ry="3" rotation="0" z_order="0"></ellipse>'
    mask = Cvat(write(tmp_path, ellipse), split="all").mask(0)
    y, x = np.mgrid[:12, :20]
    distance = np.hypot((x - 9) / 6, (y - 6) / 3)
    assert (mask[distance < 0.85] == 1).all()
    assert (mask[distance > 1.15] == 0).all()


BAD = {
    "another label": ('<box label="dog" xtl="1" ytl="1" xbr="2" ybr="2"/>' * 2, "does not list dog, used by 2 annot"),
    "a short run": ('<mask label="car" rle="1, 2" left="0" top="0" width="3" height="3"/>', "runs of 3 pixels"),
    "beyond": ('<mask label="car" rle="9" left="18" top="0" width="3" height="3"/>', "beyond the image's 20 x 12"),
    "no points": ('<polygon label="car"/>', "it lacks 'points'"),
    "no numbers": ('<polygon label="car" points="a,b"/>', "cannot be read"),
    "no XML": ("<box", "is not valid XML"),
    "a line": ('<polygon label="car" points="1,1;5,5"/>', "a polygon of 2 points, where 3 is the fewest"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_annotations_are_named(tmp_path, case):
    shapes, message = BAD[case]
    with pytest.raises(UserError, match=message):
        Cvat(write(tmp_path, shapes), split="all").mask(0)


def test_entities_and_tracks_are_refused(tmp_path):
    write(tmp_path, "", HEAD + '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>')
    with pytest.raises(UserError, match=r"declares a document type or entities.*; remove the declaration"):
        Cvat(tmp_path)
    write(tmp_path, "", meta=META + '<track id="0" label="car"></track>')
    with pytest.raises(UserError, match="tracks of a video"):
        Cvat(tmp_path)


def test_another_size_or_an_image_twice_is_refused(tmp_path):
    write(tmp_path, "")
    file = tmp_path / "annotations.xml"
    text = file.read_text()
    file.write_text(text.replace('width="20"', 'width="21"'))
    with pytest.raises(UserError, match=r"annotations\.xml: .*they are for 21 x 12 pixels, the image has 20 x 12"):
        Cvat(tmp_path, split="all").mask(0)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees
    Image.new("RGB", (20, 12)).save(tmp_path / "a.jpg", exif=exif)
    file.write_text(text)
    with pytest.raises(UserError, match=r"for 20 x 12 pixels, the image has 12 x 20, perhaps as EXIF turns it"):
        Cvat(tmp_path, split="all").mask(0)
    image = text[text.index("<image") : text.index("</annotations>")]
    file.write_text(text.replace(image, 2 * image))
    with pytest.raises(UserError, match=r"annotations\.xml: lists .*a\.jpg twice; remove one of the two"):
        Cvat(tmp_path)


def test_a_subset_states_the_split(tmp_path):
    write(tmp_path, "")
    Image.new("RGB", (20, 12)).save(tmp_path / "b.jpg")
    file = tmp_path / "annotations.xml"
    text = file.read_text()
    image = text[text.index("<image") : text.index("</annotations>")]
    file.write_text(text.replace(image, image + image.replace("a.jpg", "b.jpg").replace("Train", "Validation")))
    assert Cvat(tmp_path).split_note == "1 train, 1 val, as the annotation files say"
