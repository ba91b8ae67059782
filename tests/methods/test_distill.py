import numpy as np
import pytest
import torch
from torch import nn

from twinsight.backbones.backbone import Backbone, Features
from twinsight.commands import pretrain
from twinsight.data.views import one_view
from twinsight.errors import UserError
from twinsight.methods.distill import Distill
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import ShapesOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.distill import DistillOptions
from twinsight.options.methods.views import OneViewOptions, TwoViewsOptions

GLOBAL, LOCAL = 0.7, 1.3


class Fixed(nn.Module):
    """A backbone whose features are its parameters, whatever the images."""

    multiple, weights = 1, "fixed"

    def __init__(self, batch: int, dim: int, channels: int, side: int, seed: int):
        super().__init__()
        rng = np.random.default_rng(seed)
        self.dim, self.dims = dim, (channels,)
        self.embedding = nn.Parameter(torch.tensor(rng.normal(size=(batch, dim)) + 1))
        self.map = nn.Parameter(torch.tensor(rng.normal(size=(batch, channels, side, side + 1)) - 0.5))

    def features(self, images, levels):
        assert tuple(levels) == (-1,)
        return Features(self.embedding, [self.map], (8, 8))


def triangles(inside, out):
    """(out, inside) weights of a resize with antialiasing: a triangle as wide as the coarser of the two grids."""
    scale = inside / out
    width = max(scale, 1.0)
    centers = (np.arange(out)[:, None] + 0.5) * scale
    weights = np.maximum(0, 1 - np.abs(np.arange(inside) + 0.5 - centers) / width)
    return weights / weights.sum(1, keepdims=True)


def reference(embedding, maps, teacher_embedding, teacher_maps, whole, local):
    """An image and a position at a time, in float64; whole, local: weight and bias of the projections."""

    def distance(x, t, projection):
        x = projection[0] @ x + projection[1]
        return 1 - x @ t / np.sqrt(x @ x) / np.sqrt(t @ t)

    _, _, height, width = teacher_maps.shape
    rows, columns = triangles(maps.shape[2], height), triangles(maps.shape[3], width)
    far = [distance(x, t, whole) for x, t in zip(embedding, teacher_embedding)]
    near = [
        distance(np.einsum("chw,h,w->c", each, rows[i], columns[j]), there[:, i, j], local)
        for each, there in zip(maps, teacher_maps)
        for i in range(height)
        for j in range(width)
    ]
    return GLOBAL * np.mean(far) + LOCAL * np.mean(near), np.mean(far), np.mean(near)


@pytest.mark.parametrize("side", [2, 3, 5], ids="a student of side {}".format)
def test_loss_and_gradient_equal_the_reference(side):
    torch.manual_seed(0)
    student, teacher = Fixed(4, 5, 6, side, 0), Fixed(4, 7, 3, 3, 1)
    method = Distill(student, teacher, None, GLOBAL, LOCAL).double()
    out = method([torch.zeros(4, 3, 8, 8)], progress=0.0)
    out["loss"].backward()
    assert set(out) == {"loss", "global", "local"}

    learned = [student.embedding, student.map, *method.whole.parameters(), *method.local.parameters()]
    fixed = [each.detach().numpy() for each in teacher.parameters()]

    def loss(values):
        return reference(*values[:2], *fixed, values[2:4], values[4:])

    values = [each.detach().numpy().copy() for each in learned]
    np.testing.assert_allclose([out[name].item() for name in ("loss", "global", "local")], loss(values), rtol=1e-12)
    rng = np.random.default_rng(2)
    for each, value in zip(learned, values):  # the slope along a random direction
        step = 1e-6 * rng.normal(size=value.shape)
        value += step
        up = loss(values)[0]
        value -= 2 * step
        down = loss(values)[0]
        value += step
        np.testing.assert_allclose((each.grad.numpy() * step).sum(), (up - down) / 2, rtol=1e-5, atol=1e-13)


def small(student="test_vit", teacher="test_resnet", size=32, **options):
    torch.manual_seed(0)
    return Distill(Backbone(student), Backbone(teacher), one_view(size=size), **options)


@pytest.mark.parametrize(("student", "teacher"), [("test_vit", "test_resnet"), ("test_resnet", "test_vit")])
def test_half_the_images_in_each_of_two_processes_give_the_same_loss(student, teacher):
    """It is a mean over images, so the mean over processes is that of the whole batch."""
    method = small(student, teacher, hidden=9).eval()
    images = torch.rand(6, 3, 32, 32)
    losses = [method([part], progress=0.0)["loss"] for part in (images, images[:3], images[3:])]
    torch.testing.assert_close((losses[1] + losses[2]) / 2, losses[0])


@pytest.mark.parametrize(("student", "teacher"), [("test_vit", "test_resnet"), ("test_resnet", "test_vit")])
def test_float32_under_autocast(student, teacher):
    method = small(student, teacher, size=64)
    with torch.autocast("cpu", torch.bfloat16):
        assert all(value.dtype == torch.float32 for value in method([torch.rand(2, 3, 64, 64)], progress=0.0).values())


@pytest.mark.parametrize("without", ["global_weight", "local_weight"])
def test_a_weight_of_0_leaves_a_term_and_its_projection_out(without):
    method = small(**{without: 0.0})
    out = method([torch.rand(2, 3, 32, 32)], progress=0.0)
    assert f"{without.removesuffix('_weight')}" not in out
    assert len([name for name, _ in method.named_children()]) == 3


def test_it_learns_and_the_teacher_stays():
    method = small().train()
    before = {name: value.clone() for name, value in method.teacher.backbone.state_dict().items()}
    images = torch.rand(16, 3, 32, 32)
    optimizer = torch.optim.AdamW([each for each in method.parameters() if each.requires_grad], lr=3e-3)
    losses = []
    for _ in range(25):
        optimizer.zero_grad()
        out = method([images], progress=0.0)
        out["loss"].backward()
        optimizer.step()
        losses.append(out["loss"].item())
    assert losses[-1] < losses[0] / 3
    assert not any(module.training for module in method.teacher.modules())
    after = method.teacher.backbone.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_a_checkpoint_holds_a_hash_in_place_of_the_teacher():
    method, other = small(), small()
    state = method.state_dict()
    assert [name for name in state if name.startswith("teacher.")] == ["teacher._extra_state"]
    other.load_state_dict(state)
    with torch.no_grad():
        next(other.teacher.backbone.parameters()).add_(1)
    del other.teacher.hash
    with pytest.raises(UserError, match=r"--method.teacher: .* does not hold the weights that this run was begun with"):
        other.load_state_dict(state)


def test_a_size_that_the_two_pad_differently():
    with pytest.raises(UserError, match=r"--method.views.size: .*; give a multiple of 16$"):
        small(size=40)([torch.rand(2, 3, 40, 40)], progress=0.0)


def options(run, **changes):
    given = {"epochs": 1, "batch_size": 4, "workers": 0, "log_every": 1, "probe": "none", "precision": "fp32"}
    given |= {"data": ShapesOptions(count=8, val_count=4, size=32), "backbone": TimmOptions(name="test_vit")}
    return Pretrain(run=run, **given | changes)


def distilling(teacher):
    return DistillOptions(teacher=teacher, views=OneViewOptions(size=32))


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        (None, "--method.teacher: missing; name a network"),
        ("random:resnet18", "an untrained network has nothing to teach"),
        ("runs/gone", "--method.teacher runs/gone: not a run directory"),
    ],
)
def test_refused_before_any_work(tmp_path, teacher, said):
    with pytest.raises(UserError, match=said):
        pretrain.run(options(tmp_path / "run", method=distilling(teacher)))
    assert not (tmp_path / "run").exists()


def test_a_run_is_opened_without_its_teacher_and_not_resumed(tmp_path):
    import twinsight

    teacher, moved = tmp_path / "teacher", tmp_path / "moved"
    barlow = {"method": BarlowTwinsOptions(projector=(8, 8), views=TwoViewsOptions(size=32))}
    run = pretrain.run(options(tmp_path / "first", **barlow))
    run.rename(teacher)
    run = pretrain.run(options(tmp_path / "run", method=distilling(teacher)))
    teacher.rename(moved)
    assert twinsight.load(run, device="cpu").embed(np.zeros((32, 32, 3), np.uint8)).shape == (1, 64)
    with pytest.raises(UserError, match=f"--method.teacher {teacher}: not a run directory"):
        pretrain.run(options(None, resume=run, epochs=2, method=distilling(teacher)))
    assert pretrain.run(options(None, resume=run, epochs=2, method=distilling(moved))) == run
    other = pretrain.run(options(tmp_path / "other", seed=1, **barlow))
    with pytest.raises(UserError, match="does not hold the weights"):
        pretrain.run(options(None, resume=run, epochs=3, method=distilling(other)))
