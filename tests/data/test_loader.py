import os

import lightning
import numpy as np
import pytest
import torch
from lightning.fabric.utilities.apply_func import move_data_to_device
from lightning.pytorch.callbacks import ModelCheckpoint

from twinsight.data.loader import Pairs, Views, eval_loader, train_loader
from twinsight.data.pairs import PairAugmentation
from twinsight.data.sampler import EpochSampler
from twinsight.data.samples import VOID, Dataset, Entry
from twinsight.data.views import MultiView, View
from twinsight.data.workers import choose_workers
from twinsight.errors import UserError

# Four workers are more than torch would suggest for a small machine.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create", "ignore:Be aware that when using")

VIEWS = MultiView([View(size=24), View(size=16, solarize=0.5)])
PAIRS = PairAugmentation(size=20)


class Memory(Dataset):
    """`length` images of random pixels; image i is 20 + i % 3 pixels high and 30 wide."""

    def __init__(self, length: int = 22, broken: int | None = None, masks: bool = True):
        super().__init__([Entry(f"image{i}", f"/photos/image{i}.jpg") for i in range(length)], ("a", "b"))
        self.broken, self.masks = broken, masks

    def image(self, index: int) -> np.ndarray:
        if index == self.broken:
            raise UserError(f"{self.entries[index].image}: ends too early; copy it again or remove it")
        rng = np.random.default_rng(index)
        return rng.integers(0, 256, (20 + index % 3, 30, 3), dtype=np.uint8)

    def mask(self, index: int) -> np.ndarray | None:
        return self.image(index)[..., 0] % 2 if self.masks else None


def flat(batch) -> list:
    """The tensors and names of a batch, whatever holds them."""
    whole = batch is None or isinstance(batch, (torch.Tensor, str))
    return [batch] if whole else [leaf for part in batch for leaf in flat(part)]


def same(a, b) -> bool:
    pairs = list(zip(flat(a), flat(b), strict=True))
    return all(torch.equal(x, y) if isinstance(x, torch.Tensor) else x == y for x, y in pairs)


def epochs(samples, workers: int, count: int = 2, start: int = 0) -> list[list]:
    loader = train_loader(samples, 4, workers)
    result = []
    for epoch in range(start, start + count):
        loader.sampler.set_epoch(epoch)
        result.append(list(loader))
    return result


def indices(loader) -> list[int]:
    return [i for batch in loader for i in batch.indices.tolist()]


@pytest.mark.parametrize("samples", [Views(Memory(), VIEWS, 7), Pairs(Memory(), PAIRS, 7)], ids=["views", "pairs"])
def test_the_same_seed_gives_the_same_batches_with_any_number_of_workers(samples):
    alone = epochs(samples, 0)
    assert [len(batches) for batches in alone] == [5, 5]
    for workers in (1, 4):
        assert same(alone, epochs(samples, workers))
    assert same(alone[1], epochs(samples, 1, count=1, start=1)[0])


def test_seed_epoch_and_image_each_change_the_randomness():
    def view(seed: int, epoch: int, index: int) -> torch.Tensor:
        return Views(Constant(8), VIEWS, seed)[epoch, index][0][0]

    class Constant(Memory):
        def image(self, index: int) -> np.ndarray:
            return super().image(0)

    assert torch.equal(view(1, 2, 3), view(1, 2, 3))
    assert all(not torch.equal(view(1, 2, 3), view(*other)) for other in [(0, 2, 3), (1, 0, 3), (1, 2, 0)])


def test_epochs_and_seeds_are_shuffled_differently():
    orders = [indices(train_loader(Views(Memory(), VIEWS, seed), 4, 0)) for seed in (0, 1)]
    loader = train_loader(Views(Memory(), VIEWS, 0), 4, 0)
    loader.sampler.set_epoch(1)
    orders.append(indices(loader))
    assert all(len(set(order)) == 20 for order in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_views_batches():
    (large, small), _, names, params, _ = next(iter(train_loader(Views(Memory(), VIEWS, 0), 4, 0)))
    assert params is None
    assert large.shape == (4, 3, 24, 24)
    assert small.shape == (4, 3, 16, 16)
    assert large.dtype == torch.uint8
    assert large.is_contiguous(memory_format=torch.channels_last)
    expected = VIEWS(Memory().image(int(names[2])), np.random.default_rng([0, 0, int(names[2])]))
    assert torch.equal(small[2], torch.from_numpy(expected[1]).permute(2, 0, 1))


@pytest.mark.parametrize("workers", [0, 1])
def test_colors_left_to_the_device(workers):
    """Crops, and the very parameters that the workers would have applied."""
    whole = next(iter(train_loader(Views(Memory(), VIEWS, 3), 4, 0)))
    batch = next(iter(train_loader(Views(Memory(), VIEWS, 3, color=False), 4, workers)))
    assert torch.equal(batch.indices, whole.indices)
    assert torch.equal(batch.crops, whole.crops)
    assert not torch.equal(batch.views[0], whole.views[0])
    for k, (view, crops, done) in enumerate(zip(VIEWS.views, batch.views, whole.views)):
        assert crops.is_contiguous(memory_format=torch.channels_last)
        for image, params, expected in zip(crops, batch.params.images, done, strict=True):
            colored = view.color(np.ascontiguousarray(image.permute(1, 2, 0)), params[k])
            assert torch.equal(torch.from_numpy(colored).permute(2, 0, 1), expected)


def test_parameters_stay_as_they_are_on_the_way_to_a_device():
    batch = next(iter(train_loader(Views(Memory(), VIEWS, 3, color=False), 4, 0)))
    moved = move_data_to_device(batch, torch.device("meta"))
    assert moved.views[0].is_meta
    assert moved.params is batch.params


def test_a_batch_says_where_its_crops_lie():
    """Boxes of an image of ramps, cropped to their own size, hold the coordinates themselves."""

    class Ramp(Memory):
        def image(self, index: int) -> np.ndarray:
            rows, columns = np.mgrid[:50, :40].astype(np.uint8)
            return np.stack([rows, columns, rows], axis=-1)

    plain = View(size=8, jitter=0, gray=0, blur=0)
    views, crops, *_ = next(iter(train_loader(Views(Ramp(), MultiView([plain, plain]), 1), 16, 0)))
    assert crops.shape == (16, 2, 5)
    assert 0 < crops[..., 4].mean() < 1
    for k, view in enumerate(views):
        top, left, height, width, flip = crops[:, k].T
        places = (torch.arange(8) + 0.5) / 8
        x = torch.where(flip[:, None] == 1, 1 - places, places) * width[:, None] + left[:, None] - 0.5
        y = places * height[:, None] + top[:, None] - 0.5
        assert (view[:, 1, 4] - x)[:, 1:-1].abs().max() < 1
        assert (view[:, 0, :, 4] - y)[:, 1:-1].abs().max() < 1


def test_two_ranks_share_an_epoch_and_make_the_batches_of_one():
    one = list(EpochSampler(23, True, seed=3))
    ranks = [list(EpochSampler(23, True, 3, rank, 2)) for rank in (0, 1)]
    assert [len(rank) for rank in ranks] == [11, 11]
    assert not set(ranks[0]) & set(ranks[1])
    # Two processes with 4 each see at each step the 8 that one process sees.
    for step in range(2):
        both = {key for rank in ranks for key in rank[4 * step : 4 * step + 4]}
        assert both == set(one[8 * step : 8 * step + 8])


def test_evaluation_sees_everything_once_in_order():
    loaders = [eval_loader(Pairs(Memory(23)), 4, 0, rank, 3) for rank in range(3)]
    names = [[name for batch in loader for name in batch.ids] for loader in loaders]
    assert names == [[f"image{i}" for i in range(rank, 23, 3)] for rank in range(3)]
    assert [len(loader) for loader in loaders] == [2, 2, 2]


def test_evaluation_pads_to_the_largest_and_tells_the_sizes():
    batch = next(iter(eval_loader(Pairs(Memory()), 3, 0)))
    assert batch.images.shape == (3, 3, 22, 30)
    assert batch.masks.shape == (3, 22, 30)
    assert batch.images.dtype == batch.masks.dtype == torch.uint8
    assert batch.sizes.tolist() == [[20, 30], [21, 30], [22, 30]]
    for i, (h, w) in enumerate(batch.sizes.tolist()):
        image, mask, name = Memory()[i]
        np.testing.assert_array_equal(batch.images[i, :, :h, :w].permute(1, 2, 0), image)
        np.testing.assert_array_equal(batch.masks[i, :h, :w], mask)
        assert (batch.images[i, :, h:] == 0).all()
        assert (batch.masks[i, h:] == VOID).all()
        assert batch.ids[i] == name


def test_images_without_masks_can_be_loaded_but_not_trained_on():
    assert next(iter(eval_loader(Pairs(Memory(masks=False)), 3, 0))).masks is None
    with pytest.raises(UserError, match=r"image.*no mask"):
        next(iter(train_loader(Pairs(Memory(masks=False), PAIRS), 3, 0)))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_resumed_epoch_goes_on_where_it_stopped(workers):
    samples = Views(Memory(), VIEWS, 5)
    whole = epochs(samples, 0, count=3)
    first = train_loader(samples, 4, workers)
    first.sampler.set_epoch(1)
    batches = iter(first)
    assert same([next(batches), next(batches)], whole[1][:2])
    state = first.state_dict()
    assert state == {"epoch": 1, "batches": 2}
    second = train_loader(samples, 4, workers)
    second.load_state_dict(state)
    second.sampler.set_epoch(1)
    assert len(second) == 5
    assert same(list(second), whole[1][2:])
    assert second.state_dict() == {"epoch": 1, "batches": 5}
    second.sampler.set_epoch(2)
    assert same(list(second), whole[2])


class Recorder(lightning.LightningModule):
    """Learns nothing; keeps what it is given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen = []

    def training_step(self, batch, _):
        self.seen.append((self.current_epoch, batch.indices.tolist(), batch.views[0].long().sum().item()))
        return self.weight.sum()

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(folder, workers: int, max_epochs: int, every: int, resume=None) -> list:
    module = Recorder()
    checkpoint = ModelCheckpoint(folder, "{step}", every_n_train_steps=every, save_top_k=-1)
    trainer = lightning.Trainer(
        accelerator="cpu",
        max_epochs=max_epochs,
        callbacks=[checkpoint],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
    )
    trainer.fit(module, train_loader(Views(Memory(), VIEWS, 5), 4, workers), ckpt_path=resume, weights_only=True)
    return module.seen


@pytest.mark.parametrize("step", [5, 7, 10])
def test_lightning_sets_the_epoch_and_resumes_at_a_border_and_within(tmp_path, step):
    whole = fit(tmp_path, 0, 4, step)
    assert [epoch for epoch, *_ in whole] == [epoch for epoch in range(4) for _ in range(5)]
    assert len({str(names) for _, names, _ in whole}) == 20
    expected = [batch.indices.tolist() for batches in epochs(Views(Memory(), VIEWS, 5), 0, 4) for batch in batches]
    assert [names for _, names, _ in whole] == expected
    resumed = fit(tmp_path / "more", 1, 4, 100, tmp_path / f"step={step}.ckpt")
    assert resumed == whole[step:]


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_image_is_one_sentence(workers):
    with pytest.raises(UserError) as error:
        list(train_loader(Views(Memory(broken=13), VIEWS), 22, workers))
    assert str(error.value) == (
        "/photos/image13.jpg: ends too early; copy it again or remove it, or give --data.tolerate, "
        "the number or fraction of broken images to leave out"
    )


def test_a_batch_that_never_fills_is_refused():
    with pytest.raises(UserError, match=r"--batch-size 12: .*per process \(11\)"):
        train_loader(Views(Memory(), VIEWS), 12, 0, rank=1, world=2)
    assert len(train_loader(Views(Memory(), VIEWS), 11, 0, rank=1, world=2)) == 1


@pytest.mark.parametrize(
    ("cores", "cuda", "processes", "expected"),
    [
        (1, False, 1, 0),
        (2, False, 1, 1),
        (2, True, 1, 2),
        (64, False, 1, 8),
        (16, True, 4, 4),
        (2, False, 4, 0),
    ],
)
def test_default_workers(monkeypatch, cores, cuda, processes, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores), raising=False)
    assert choose_workers(None, processes, cuda) == expected


def test_more_workers_than_the_machine_bears(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(2), raising=False)
    assert [choose_workers(n) for n in (0, 3, 8)] == [0, 3, 8]
    for wrong in (9, -1):
        with pytest.raises(UserError, match=rf"--workers {wrong}: .* 0 to 8"):
            choose_workers(wrong)
    with pytest.raises(UserError, match=r"--workers 5: .* 0 to 4"):
        choose_workers(5, processes=2)
