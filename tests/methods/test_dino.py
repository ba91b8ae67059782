import math
from copy import deepcopy

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from test_sinkhorn import official_sinkhorn
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView, View, multi_crop
from twinsight.layers import cosine
from twinsight.methods.dino import DINO, Prototypes

HEAD = {"prototypes": 9, "hidden": 10, "bottleneck": 6}
SWIN = {"embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2), "window_size": 2}


class Trunk(nn.Module):
    """Images of any size: the colors of their quarters, mixed."""

    dim = 7

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, self.dim), nn.Tanh())

    def forward(self, images):
        return self.layers(images)


def method(trunk=None, **options):
    """A student and a teacher that differ, and a center that is not 0."""
    torch.manual_seed(0)
    made = DINO(trunk or Trunk(), views=None, **HEAD | options)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
        made.center.copy_(torch.randn(made.center.shape, generator=generator))
    return made


def batches(count=8, sizes=(6, 6, 4, 4, 4)):
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(count, 3, size, size, generator=generator, dtype=torch.float64) for size in sizes]


def head(x, parameters, batch_norm=False):
    """The official head (DINOHead): linear, batch norm, GELU, twice; linear; length 1; linear of normed weights.

    x: the embeddings of all crops, whatever their size: its MultiCropWrapper runs the head once, over all of them.
    """
    parameters = iter([p.detach().numpy() for p in parameters])
    for _ in range(2):
        x = x @ next(parameters).T + next(parameters)
        if batch_norm:
            x = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5) * next(parameters) + next(parameters)
        x = x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))
    x = x @ next(parameters).T + next(parameters)
    x = x / np.sqrt((x**2).sum(1, keepdims=True))
    v, *g = parameters
    return x @ (v / np.sqrt((v**2).sum(1, keepdims=True)) * (g[0] if g else 1.0)).T


def reference(made, views, progress, batch_norm=False, tps=0.1, c_momentum=0.9):
    """The paper's pseudocode with multi-crop, in float64 -> loss, the teacher's entropy, the new center."""
    student, teacher = (
        np.split(
            head(
                np.concatenate([network[0](view).detach().numpy() for view in seen]),
                list(network.parameters())[2:],
                batch_norm,
            ),
            len(seen),
        )
        for network, seen in ((made.student, views), (made.teacher, views[:2]))
    )
    center = made.center.numpy().copy()
    tpt = 0.04 + (0.07 - 0.04) * min(1.0, progress / 0.2)

    def softmax(row):
        exp = np.exp(row - row.max())
        return exp / exp.sum()

    losses, entropies = [], []
    for i in range(2):
        for t in teacher[i]:
            p = softmax((t - center) / tpt)
            entropies.append(-sum(q * math.log(q) for q in p))
        for j in range(len(views)):
            if i != j:
                per_image = []
                for t, s in zip(teacher[i], student[j]):
                    p, q = softmax((t - center) / tpt), softmax(s / tps)
                    per_image.append(-sum(p * np.log(q)))
                losses.append(np.mean(per_image))
    batch = np.concatenate(teacher).mean(0)
    return np.mean(losses), np.mean(entropies), c_momentum * center + (1 - c_momentum) * batch


@pytest.mark.parametrize("batch_norm", [False, True])
@pytest.mark.parametrize("progress", [0.0, 0.1, 0.2, 0.9])
@pytest.mark.parametrize("norm_last_layer", [True, False])
def test_loss_and_center_equal_the_reference(progress, norm_last_layer, batch_norm):
    made = method(norm_last_layer=norm_last_layer, batch_norm=batch_norm, temperature_warmup=0.2).double()
    loss, entropy, center = reference(made, batches(), progress, batch_norm)
    out = made(batches(), progress)
    assert set(out) == {"loss", "entropy", "kl", "temperature", "momentum"}
    torch.testing.assert_close(out["loss"].item(), loss, rtol=1e-12, atol=0)
    torch.testing.assert_close(out["entropy"].item(), entropy, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(out["kl"].item(), loss - entropy, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(made.center, torch.tensor(center), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_gradient_is_the_slope_of_the_reference(batch_norm):
    made = method(batch_norm=batch_norm, temperature_warmup=0.2).double()
    made(batches(), 0.5)["loss"].backward()
    generator = torch.Generator().manual_seed(3)
    parameters = list(made.student.parameters())
    directions = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in parameters]
    made = method(batch_norm=batch_norm, temperature_warmup=0.2).double()  # the center has moved
    losses = []
    with torch.no_grad():
        for step in (-1e-6, 1e-6):
            for p, d in zip(made.student.parameters(), directions):
                p.add_(d, alpha=step)
            losses.append(reference(made, batches(), 0.5, batch_norm)[0])
            for p, d in zip(made.student.parameters(), directions):
                p.sub_(d, alpha=step)
    slope = sum((p.grad * d).sum().item() for p, d in zip(parameters, directions) if p.grad is not None)
    assert slope == pytest.approx((losses[1] - losses[0]) / 2e-6, rel=1e-6)


def official_sinn_knopp_in_the_place_of_the_center():
    made = method(centering="sinkhorn-knopp").double()
    views, center = batches(), made.center.clone()
    out = made(views, 0.5)
    with torch.no_grad():
        t = official_sinkhorn(made.teacher(torch.cat(views[:2])) / 0.07).chunk(2)
    s = [(made.student(view) / 0.1).log_softmax(1) for view in views]
    terms = [-(t[i] * s[j]).sum(1).mean() for i in range(2) for j in range(len(views)) if i != j]
    torch.testing.assert_close(out["loss"], torch.stack(terms).mean(), rtol=1e-12, atol=0)
    assert torch.equal(made.center, center)


def test_float32_under_autocast():
    made = method()
    views = [view.float() for view in batches()]
    expected = deepcopy(made)(views, 0.5)["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        found = made(views, 0.5)["loss"]
    assert found.dtype == made.center.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0)


def test_the_head_as_it_begins():
    torch.manual_seed(0)
    made = DINO(Trunk(), None, prototypes=50, hidden=200, bottleneck=100, norm_last_layer=False)
    for layer in made.projector[:-1:2]:
        assert layer.weight.std().item() == pytest.approx(0.02, rel=0.1)
        assert not layer.bias.any()
    assert made.prototypes.weight.abs().max() <= 1 / math.sqrt(100)  # torch's own for a linear layer
    assert made.prototypes.length is not None
    assert (made.prototypes.length == 1).all()
    for one, other in zip(made.student.parameters(), made.teacher.parameters(), strict=True):
        assert torch.equal(one, other)
    lengths = made.project(torch.rand(5, 3, 8, 8)).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(5))


def test_the_head_with_batch_norm_tells_images_apart_at_once():
    """All but alike embeddings: without batch norm the head hardly tells them apart, with it it does."""
    embeddings = 1 + 1e-3 * torch.randn(16, 7, generator=torch.Generator().manual_seed(0))
    spread = []
    for batch_norm in (False, True):
        torch.manual_seed(0)
        z = DINO(Trunk(), views=None, **HEAD, batch_norm=batch_norm).projector(embeddings)
        spread.append((z @ z.T).mean().item())
    assert spread[0] > 0.99
    assert spread[1] < 0.5


@pytest.mark.parametrize("normed", [True, False])
def test_prototypes_are_torchs_weight_norm(normed):
    torch.manual_seed(0)
    linear = nn.utils.parametrizations.weight_norm(nn.Linear(5, 8, bias=False, dtype=torch.float64))
    length, direction = linear.parametrizations.weight.original0, linear.parametrizations.weight.original1
    ours = Prototypes(5, 8, normed).double()
    with torch.no_grad():
        ours.weight.copy_(direction)
        length.fill_(1.0) if ours.length is None else ours.length.copy_(length.uniform_(0.5, 2.0))
    x = torch.randn(3, 5, dtype=torch.float64)
    torch.testing.assert_close(ours(x), linear(x))
    ours(x).square().sum().backward()
    linear(x).square().sum().backward()
    torch.testing.assert_close(ours.weight.grad, direction.grad)
    if ours.length is not None:
        torch.testing.assert_close(ours.length.grad, length.grad)


@pytest.mark.parametrize(("progress", "momentum"), [(0.0, 0.996), (0.5, 0.998), (1.0, 1.0)])
def test_teacher_is_the_moving_average(progress, momentum):
    made = method().double()
    student, teacher = ([p.detach().clone() for p in net.parameters()] for net in (made.student, made.teacher))
    made.after_step(progress)
    for now, t, s in zip(made.teacher.parameters(), teacher, student, strict=True):
        torch.testing.assert_close(now, momentum * t + (1 - momentum) * s, rtol=1e-12, atol=1e-12)
    assert all(torch.equal(now, s) for now, s in zip(made.student.parameters(), student))
    assert made(batches(), progress)["momentum"].item() == pytest.approx(momentum)


def test_schedules():
    made = method(temperature_warmup=0.2)
    found = [made.temperature(progress) for progress in (0.0, 0.1, 0.2, 1.0)]
    assert found == pytest.approx([0.04, 0.055, 0.07, 0.07])
    assert method(temperature_warmup=0.0).temperature(0.0) == 0.07
    # The official schedule steps by the epoch, here 30 of 300; at no step is it further away than one epoch's rise.
    made = method(temperature_warmup=0.1)
    official = np.concatenate((np.linspace(0.04, 0.07, 30), np.full(270, 0.07)))
    apart = [abs(made.temperature(i / 3000) - official[i // 10]) for i in range(3000)]
    assert max(apart) <= 0.0301 / 29
    # DINOv2's steps by the update: np.linspace over those of the warm-up.
    assert [made.temperature(i / 3000) for i in range(300)] == pytest.approx(np.linspace(0.04, 0.07, 300), abs=2e-4)
    steps = 0.5 * (1 + np.cos(np.pi * np.arange(10) / 10))  # the official cosine_scheduler
    assert [cosine(0.04, 0.4, i / 10) for i in range(10)] == pytest.approx(0.4 + (0.04 - 0.4) * steps)


@pytest.mark.parametrize("norm_last_layer", [True, False])
def test_prototypes_are_frozen_at_first(norm_last_layer):
    made = method(freeze_last_layer=0.25, norm_last_layer=norm_last_layer).double()

    def moving(progress):
        made.zero_grad()
        made(batches(), progress)["loss"].backward()
        made.after_backward(progress)
        return {name for name, p in made.student.named_parameters() if p.grad is not None}

    everything = {name for name, _ in made.student.named_parameters()}
    assert moving(0.0) == moving(0.2499) == {name for name in everything if not name.startswith("2.")}
    assert moving(0.25) == everything


def test_no_gradient_reaches_the_teacher():
    made = method().double()
    made(batches(), 0.5)["loss"].backward()
    assert not any(p.requires_grad or p.grad is not None for p in made.teacher.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in made.student.parameters())
    assert not made.center.requires_grad


def test_one_forward_a_resolution():
    made = method().double()
    seen = {"student": [], "teacher": []}
    made.student[0].register_forward_pre_hook(lambda _, images: seen["student"].append(tuple(images[0].shape)))
    made.trunk.register_forward_pre_hook(lambda _, images: seen["teacher"].append(tuple(images[0].shape)))
    made(batches(), 0.5)
    assert seen == {"student": [(16, 3, 6, 6), (24, 3, 4, 4)], "teacher": [(16, 3, 6, 6)]}


def test_what_is_random_disturbs_the_student_only():
    trunk = Backbone("test_vit", drop_path_rate=0.9, drop_rate=0.5)
    made = method(trunk)
    images = torch.rand(4, 3, 32, 32)
    assert torch.equal(made.teacher(images), made.teacher(images))
    assert not torch.equal(made.student(images), made.student(images))
    made.eval()
    assert torch.equal(made.student(images), made.student(images))
    assert not any(module.training for module in made.modules())


def test_batch_norm_takes_batch_statistics_in_both():
    made = method(Backbone("test_resnet"))
    for network in (made.trunk, made.student[0]):
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        assert norms
        assert all(norm.training for norm in norms)
    made.eval()
    assert not any(module.training for module in made.modules())


@pytest.mark.parametrize(
    ("name", "options"), [("test_vit", {}), ("swin_tiny_patch4_window7_224", SWIN), ("test_resnet", {})]
)
def test_every_kind_of_backbone(name, options):
    torch.manual_seed(0)
    made = DINO(Backbone(name, **options), multi_crop(64, local_views=2, local_size=32), **HEAD)
    before = [p.detach().clone() for p in made.trunk.parameters()]
    photo = np.random.default_rng(0).integers(0, 256, (50, 70, 3), np.uint8)
    drawn = [made.views()(photo, np.random.default_rng(i)) for i in range(3)]
    views = [torch.from_numpy(np.stack(same)).permute(0, 3, 1, 2) for same in zip(*drawn)]
    loss = made(views, 0.5)["loss"]
    loss.backward()
    assert loss.isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in made.student.parameters())
    torch.optim.SGD(made.student.parameters(), lr=0.1).step()
    assert all(torch.equal(p, old) for p, old in zip(made.trunk.parameters(), before))
    made.after_step(0.0)
    assert not all(torch.equal(p, old) for p, old in zip(made.trunk.parameters(), before))


def test_multi_crop_is_the_official_one():
    first, second, *local = multi_crop().views
    assert first == View(224, (0.4, 1.0), blur=1.0, solarize=0.0)
    assert second == View(224, (0.4, 1.0), blur=0.1, solarize=0.2)
    assert local == [View(96, (0.05, 0.4), blur=0.5, solarize=0.0)] * 8
    # RandomResizedCrop, then flip 0.5, ColorJitter(0.4, 0.4, 0.2, 0.1) with 0.8, gray 0.2.
    color = (first.flip, first.jitter, first.brightness, first.contrast, first.saturation, first.hue, first.gray)
    assert color == (0.5, 0.8, 0.4, 0.4, 0.2, 0.1, 0.2)
    assert [view.gray for view in multi_crop(local_views=1, gray=0.7).views] == [0.7] * 3


def test_multi_crop_sizes_and_areas():
    transform = multi_crop(40, (0.5, 0.9), 3, 17, (0.05, 0.3))
    assert isinstance(transform, MultiView)
    photo = np.random.default_rng(0).integers(0, 256, (200, 300, 3), np.uint8)
    rng = np.random.default_rng(0)
    assert [view.shape for view in transform(photo, rng)] == [(40, 40, 3)] * 2 + [(17, 17, 3)] * 3
    for view, (least, most) in zip(transform.views, [(0.5, 0.9)] * 2 + [(0.05, 0.3)] * 3):
        boxes = [view.draw(rng, 200, 300).box for _ in range(200)]
        areas = [box.height * box.width / 60000 for box in boxes]
        assert least * 0.97 < min(areas) < least * 1.2
        assert most * 0.75 < max(areas) < most * 1.03
    assert len(multi_crop(local_views=0).views) == 2


def rank_of_two(rank, folder, options):
    """Half of the batches, under DDP -> gradients of the student, and the center."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    model = DistributedDataParallel(method(**options).double())
    model([view.chunk(2)[rank] for view in batches()], progress=0.5)["loss"].backward()
    dist.destroy_process_group()
    return {name: p.grad for name, p in model.module.student.named_parameters()}, model.module.center


@pytest.mark.parametrize("options", [{}, {"centering": "sinkhorn-knopp", "batch_norm": True}])
def test_two_processes_are_as_one(tmp_path, options):
    other = mp.spawn(rank_of_two, args=(str(tmp_path), options), nprocs=1, join=False)  # its rank is 0
    gradients, center = rank_of_two(1, tmp_path, options)
    other.join()
    made = method(**options).double()
    made(batches(), progress=0.5)["loss"].backward()
    for name, parameter in made.student.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-9, atol=1e-13)
    torch.testing.assert_close(center, made.center, rtol=1e-12, atol=1e-14)


def groups(count):
    """Four views of each image: its kind's colors, of 6, under noise as loud as they are."""
    colors = torch.randn(6, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    kinds = colors[torch.randint(6, (count,))].repeat_interleave(2, 2)
    return [kinds + torch.randn(count, 3, 4, 2) for _ in range(4)]


def train(**options):
    """The losses of a short training; what the teacher's answer then tells of an image, in nats, 0 to log 12."""
    torch.manual_seed(0)
    sizes = {"prototypes": 12, "hidden": 32, "bottleneck": 16}
    made = DINO(Trunk(), None, **sizes, momentum=0.9, teacher_temperature=(0.04, 0.04), **options)
    optimizer = torch.optim.AdamW(made.student.parameters(), lr=0.01)
    losses = []
    for step in range(300):
        optimizer.zero_grad()
        out = made(groups(64), step / 300)
        out["loss"].backward()
        made.after_backward(step / 300)
        optimizer.step()
        made.after_step(step / 300)
        losses.append(out["loss"].item())
    with torch.no_grad():
        t = torch.softmax((made.teacher(groups(512)[0]) - made.center) / 0.04, 1)
    return losses, (torch.special.entr(t.mean(0)).sum() - torch.special.entr(t).sum(1).mean()).item()


@pytest.mark.parametrize("centering", ["mean", "sinkhorn-knopp"])
def test_it_learns_and_does_not_collapse(centering):
    """Over four seeds the loss fell to 0.07 to 0.41 of its start and the answer told 0.65 to 1.78 nats."""
    losses, told = train(centering=centering)
    assert np.mean(losses[-10:]) < 0.7 * losses[0]
    assert told > 0.3


def test_without_a_center_one_prototype_wins_all():
    losses, told = train(center_momentum=1.0)
    assert np.mean(losses[-10:]) < 0.1
    assert told < 0.1
