"""Data sets opened from Python."""

import numpy as np
import pytest
from PIL import Image

import twinsight

pytest_plugins = ("tiny_runs",)


def test_a_sequence_of_samples():
    data = twinsight.Dataset.open("shapes", split="val", val_count=4, size=32)
    assert len(data) == len(list(data)) == 4
    image, mask, name = data[-1]
    assert image.shape == (32, 32, 3)
    assert mask.shape == (32, 32)
    assert name == data[3].id
    assert [sample.id for sample in data[1:3]] == [data[1].id, data[2].id]
    assert len(data.classes) == len(data.palette) == 8
    with pytest.raises(IndexError):
        data[4]
    assert data.show(3)._repr_html_().startswith("<img")
    assert "shapes, val: 4 images, 8 classes" in repr(data)


def test_a_folder_of_ones_own(folder):
    for i in range(3):
        Image.fromarray(np.full((8, 9, 3), i, np.uint8)).save(folder / f"{i}.png")
    data = twinsight.Dataset.open(folder, split="all")
    assert [sample.image[0, 0, 0] for sample in data] == [0, 1, 2]
    assert data[0].mask is None
    assert not data.classes


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: twinsight.Dataset.open("no/such"), "no/such"),
        (lambda: twinsight.Dataset.open(None), "^source: NoneType is not a data set"),
        (lambda: twinsight.Dataset.open("shapes", split="test"), "^split: shapes has no 'test'"),
        (lambda: twinsight.Dataset.open("shapes", cout=3), "data.cout"),
        (lambda: twinsight.Dataset.open("shapes", count=0), "^data.count=0: must be at least 1"),
    ],
)
def test_what_is_no_data_set_is_refused(call, sentence):
    with pytest.raises(twinsight.UserError, match=sentence):
        call()


def test_a_data_set_as_pretrain_takes_it():
    data = {"name": "shapes", "count": 5, "val_count": 3, "size": 32}
    assert len(twinsight.Dataset.open(data)) == 5
    assert len(twinsight.Dataset.open(data, split="val")) == 3
    assert len(twinsight.Dataset.open(data, count=2)) == 2
