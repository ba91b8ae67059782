"""A training that goes on without broken images."""

import warnings
from collections import Counter

import numpy as np
import pytest
import torch
from PIL import Image

from twinsight.assemble.data import sample
from twinsight.data.cache import Cached
from twinsight.data.loader import Pairs, Views, eval_loader, train_loader
from twinsight.data.pairs import PairAugmentation
from twinsight.data.samples import VOID, Dataset, Entry
from twinsight.data.tolerance import Tolerance
from twinsight.data.views import MultiView, View
from twinsight.errors import Remark, UserError

BROKEN = (2, 3, 9)


@pytest.fixture
def dataset(tmp_path):
    """12 images, gray as their index, with masks of one class; three are broken, two of these neighbors."""
    entries = []
    for i in range(12):
        image, mask = tmp_path / f"{i:02}.png", tmp_path / f"mask-{i:02}.png"
        Image.new("RGB", (8, 8), (i, i, i)).save(image)
        Image.new("L", (8, 8), i % 2).save(mask)
        if i in BROKEN:
            image.write_bytes(image.read_bytes()[:40])
        entries.append(Entry(image.stem, image, mask))
    dataset = Dataset(entries, ("even", "odd"))
    dataset.tolerate = 3
    return dataset


VIEWS = MultiView([View(size=8)])


def indices(loader):
    return [index for batch in loader for index in batch.indices.tolist()]


@pytest.mark.filterwarnings("ignore::twinsight.errors.Remark")
@pytest.mark.parametrize("workers", [0, 2])
def test_the_next_whole_image_takes_the_place_of_a_broken_one(dataset, workers):
    seen = indices(train_loader(Views(dataset, VIEWS, 7), 4, workers))
    assert Counter(seen) == Counter([0, 1, 4, 4, 4, 5, 6, 7, 8, 10, 10, 11])
    assert seen == indices(train_loader(Views(dataset, VIEWS, 7), 4, 0))


@pytest.mark.filterwarnings("ignore::twinsight.errors.Remark")
def test_a_resumed_epoch_sees_the_same(dataset):
    whole = list(train_loader(Pairs(dataset, PairAugmentation(size=8), 7), 4, 0))
    resumed = train_loader(Pairs(dataset, PairAugmentation(size=8), 7), 4, 0)
    resumed.load_state_dict({"epoch": 0, "batches": 1})
    rest = list(resumed)
    assert [batch.ids for batch in rest] == [batch.ids for batch in whole[1:]]
    assert all(torch.equal(a.images, b.images) for a, b in zip(rest, whole[1:]))


def test_each_is_named_once(dataset):
    loader = train_loader(Views(dataset, VIEWS), 4, 0)
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always")
        for epoch in range(3):
            loader.sampler.set_epoch(epoch)
            list(loader)
    assert all(issubclass(remark.category, Remark) for remark in remarks)
    named = sorted(str(remark.message).partition("/")[2].partition(": ")[0][-6:] for remark in remarks)
    assert named == ["02.png", "03.png", "09.png"]
    assert sorted(str(remark.message)[:22] for remark in remarks) == [f"left out ({i} of at most" for i in (1, 2, 3)]


@pytest.mark.filterwarnings("ignore::twinsight.errors.Remark")
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("allowed", [2, 0.17])
def test_more_than_allowed_end_the_training_whichever_worker_meets_them(dataset, workers, allowed):
    dataset.tolerate = allowed
    with pytest.raises(UserError, match=r"cannot be read.*; 3 images are broken, but --data\.tolerate allows only 2"):
        list(train_loader(Views(dataset, VIEWS), 4, workers))


def test_none_by_default(dataset):
    dataset.tolerate = 0
    with pytest.raises(UserError, match=r"cannot be read.*, or give --data\.tolerate"):
        list(train_loader(Views(dataset, VIEWS), 4, 0))


@pytest.mark.filterwarnings("ignore::twinsight.errors.Remark")
def test_validation_counts_no_image_twice(dataset):
    batches = list(eval_loader(Pairs(dataset), 4, 0))
    masks = torch.cat([batch.masks for batch in batches])
    assert [i for i, mask in enumerate(masks) if (mask == VOID).all()] == list(BROKEN)
    whole = [i for i in range(12) if i not in BROKEN]
    np.testing.assert_array_equal(masks[whole], [np.full((8, 8), i % 2) for i in whole])


def test_images_without_masks_keep_their_places_in_evaluation(dataset):
    """Labels that others know by the place of an image would be another's."""
    unlabeled = Dataset([Entry(entry.id, entry.image) for entry in dataset.entries])
    unlabeled.tolerate = 3
    with pytest.raises(UserError, match=r"02\.png: cannot be read"):
        list(eval_loader(Pairs(unlabeled), 1, 0))


@pytest.mark.filterwarnings("ignore::twinsight.errors.Remark")
def test_probes_look_at_whole_images(dataset):
    seen = sample(dataset, 12, None)
    assert [int(image[0, 0, 0]) for image in seen.images] == [0, 1, 4, 4, 4, 5, 6, 7, 8, 10, 10, 11]


@pytest.mark.filterwarnings("ignore::twinsight.errors.Remark")
def test_nothing_but_broken_images():
    def get(index):
        raise UserError(f"{index}: broken")

    with pytest.raises(UserError, match="none of 3 images can be read"):
        Tolerance(3, 3).read(get, 1)


@pytest.mark.filterwarnings("ignore::twinsight.errors.Remark")
def test_a_cache_leaves_out_the_same(dataset, tmp_path):
    expected = list(train_loader(Pairs(dataset, PairAugmentation(size=8), 7), 4, 0))
    dataset.entries[9].mask.write_bytes(b"no mask")  # beside its image, whose header is whole
    for _ in ("made", "opened again"):
        cached = Cached(dataset, tmp_path / "cache")
        assert sorted(map(int, cached.broken)) == list(BROKEN)
        batches = list(train_loader(Pairs(cached, PairAugmentation(size=8), 7), 4, 0))
        assert [batch.ids for batch in batches] == [batch.ids for batch in expected]
        assert all(torch.equal(a.images, b.images) for a, b in zip(batches, expected))
    cached.tolerate = 2
    with pytest.raises(UserError, match=r"3 images are broken, but --data\.tolerate allows only 2"):
        list(train_loader(Pairs(cached, PairAugmentation(size=8), 7), 4, 0))


@pytest.mark.parametrize(("allowed", "end"), [(0, "or give --data.tolerate"), (2, "--data.tolerate allows only 2")])
def test_a_cache_of_too_many_broken_images_is_not_made(dataset, tmp_path, allowed, end):
    dataset.tolerate = allowed
    with pytest.raises(UserError, match=end):
        Cached(dataset, tmp_path / "cache")
