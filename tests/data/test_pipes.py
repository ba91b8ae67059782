import pytest
import torch

from twinsight.data import pipes
from twinsight.data.loader import Pairs, Views, train_loader
from twinsight.data.pipes import Piped, room, spare_shared_memory
from twinsight.data.shapes import Shapes
from twinsight.data.views import two_views
from twinsight.data.whole import whole_images


@pytest.fixture
def tiny(monkeypatch):
    """Too little room for a batch."""
    monkeypatch.setattr(pipes, "room", lambda: 2000)


def loader(workers: int):
    return train_loader(Views(Shapes(count=8, size=16), two_views(size=16), color=False), 4, workers)


def test_the_same_batches_through_pipes(tiny):
    piped, plain = loader(1), loader(0)
    remark = spare_shared_memory(piped)
    assert remark is not None
    assert remark.startswith("/dev/shm: 0 MB are free, but prefetched batches take up to 0 MB; ")
    for ours, theirs in zip(piped, plain, strict=True):
        assert not any(view.is_shared() for view in ours.views)
        assert all(view.is_contiguous(memory_format=torch.channels_last) for view in ours.views)
        assert all(map(torch.equal, ours.views, theirs.views))
        assert torch.equal(ours.crops, theirs.crops)
        assert ours.params.images == theirs.params.images


def test_whole_images_too(tiny):
    found = whole_images(Pairs(Shapes(count=8, size=16)), lambda _: 3, 1)
    assert spare_shared_memory(found) is not None
    assert [len(batch.masks) for batch in found] == [3, 3, 2]


def test_nothing_changes_where_there_is_room_or_no_worker(monkeypatch):
    plain = loader(1)
    monkeypatch.setattr(pipes, "room", lambda: 1e9)
    assert spare_shared_memory(plain) is None
    monkeypatch.setattr(pipes, "room", lambda: 0)
    alone = loader(0)
    assert spare_shared_memory(alone) is None
    assert not any(isinstance(each.collate_fn, Piped) for each in (plain, alone))


def test_systems_without_such_a_limit(monkeypatch):
    assert room() > 0
    monkeypatch.setattr(pipes, "SHARED", "/no/such/folder")
    assert room() == float("inf")
