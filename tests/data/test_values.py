"""Masks that hold other values than 0, 1, 2, ... and 255 for void."""

import numpy as np
import pytest
from PIL import Image

from twinsight.cli import main
from twinsight.data.cache import Cached
from twinsight.data.folder import Folder
from twinsight.data.masks import write_mask
from twinsight.data.samples import voc_palette
from twinsight.data.values import Values
from twinsight.errors import UserError
from twinsight.options.data import FolderOptions

RNG = np.random.default_rng(0)


def write(root, stored, classes, palette=None):
    """Three images with masks of these values, in random places."""
    masks = []
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for i in range(3):
        masks.append(RNG.choice(np.array(stored, np.uint8), (11, 7)))
        Image.fromarray(RNG.integers(0, 256, (11, 7, 3), np.uint8)).save(root / f"images/{i}.png")
        if palette is None:
            Image.fromarray(masks[-1]).save(root / f"masks/{i}.png")
        else:
            write_mask(root / f"masks/{i}.png", masks[-1], palette)
    (root / "classes.txt").write_text("\n".join(classes))
    return masks


@pytest.mark.parametrize("palette", [None, voc_palette(256)], ids=["gray", "palette"])
@pytest.mark.parametrize(
    ("values", "void", "expected"),
    [
        ((0, 255), None, {0: 0, 255: 1}),
        ((255, 0), None, {255: 0, 0: 1}),
        ((0, 128, 255), None, {0: 0, 128: 1, 255: 2}),
        ((0, 255), (128,), {0: 0, 255: 1, 128: 255}),
        (None, (0,), {0: 255, 1: 0, 2: 1, 3: 2}),
        (None, (0, 255), {0: 255, 255: 255, 1: 0, 2: 1}),
        ((7, 3), None, {7: 0, 3: 1, 255: 255}),
    ],
)
def test_labels_are_what_each_value_stands_for(tmp_path, palette, values, void, expected):
    classes = [f"class{i}" for i in range(len(set(expected.values()) - {255}))]
    masks = write(tmp_path, list(expected), classes, palette)
    dataset = Folder(tmp_path, "all", values=values, void=void)
    cached = Cached(dataset, tmp_path / "cache")
    for i, mask in enumerate(masks):
        labels = np.vectorize(expected.get)(mask)
        np.testing.assert_array_equal(dataset[i].mask, labels)
        np.testing.assert_array_equal(cached.mask(i), labels)


def test_a_value_that_is_none_names_the_file(tmp_path):
    write(tmp_path, [0, 128, 255], ["a", "b"])
    with pytest.raises(UserError, match=r"masks/\d\.png: holds 128, .* neither a class \(0 255\) nor void \(none\)"):
        list(Folder(tmp_path, "all", values=(0, 255)))
    with pytest.raises(UserError, match=r"masks/\d\.png: holds 255, .* nor void \(0\); correct the mask"):
        list(Folder(tmp_path, "all", void=(0,), classes=[str(i) for i in range(200)]))


@pytest.mark.parametrize(
    ("values", "void", "sentence"),
    [
        ((0,), None, r"--data\.values 0: gives 1 different values for 2 classes"),
        ((0, 0), None, r"--data\.values 0 0: gives 1 different values for 2 classes"),
        ((0, 255), (255,), r"--data\.void 255: 255 is also in --data\.values"),
    ],
)
def test_values_that_do_not_suit(values, void, sentence):
    with pytest.raises(UserError, match=sentence):
        Values(2, values, void)


def test_a_cache_of_other_values_is_refused(tmp_path):
    write(tmp_path, [0, 255], ["a", "b"])
    Cached(Folder(tmp_path, "all"), tmp_path / "cache")
    with pytest.raises(UserError, match="is the cache of other images"):
        Cached(Folder(tmp_path, "all", values=(255, 0)), tmp_path / "cache")


def test_colors_are_those_at_the_classes_values(tmp_path):
    palette = np.zeros((256, 3), np.uint8)
    palette[[0, 255]] = (9, 8, 7), (200, 100, 0)
    write(tmp_path, [0, 255], ["a", "b"], palette)
    assert Folder(tmp_path, "all", values=(0, 255)).palette.tolist() == [[9, 8, 7], [200, 100, 0]]


def test_the_option_is_read_by_every_data_command(tmp_path, capfd):
    write(tmp_path, [0, 255], ["a", "b"])
    given = [
        "--data",
        "folder",
        "--data.root",
        str(tmp_path),
        "--data.val-fraction",
        "0.5",
        "--data.values",
        "0",
        "255",
    ]
    for command in (["check"], ["show", "--out", str(tmp_path / "sheet.png")]):
        with pytest.raises(SystemExit) as exit:
            main(["data", *command, *given])
        assert exit.value.code == 0
    assert FolderOptions(root=tmp_path, values=(0, 255)).open("train").coding == ("values 0 255 void ",)
    with pytest.raises(SystemExit) as exit:
        main(["data", "check", *given[:-1], "256"])
    assert exit.value.code == 2
    assert "--data.values" in capfd.readouterr().err
