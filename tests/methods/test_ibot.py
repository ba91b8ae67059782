import os

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from test_dino import head
from test_sinkhorn import official_sinkhorn
from torch.nn.parallel import DistributedDataParallel

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import View
from twinsight.methods import masked_dino
from twinsight.methods.dinov2 import DINOv2
from twinsight.methods.ibot import IBOT
from twinsight.options.build import build
from twinsight.options.methods.dinov2 import DinoV2ViewsOptions
from twinsight.options.methods.ibot import IbotViewsOptions

VIT = {"img_size": 16, "patch_size": 8, "embed_dim": 12, "depth": 1, "num_heads": 2}
HEAD = {"prototypes": 9, "hidden": 10, "bottleneck": 6}
KINDS = {
    "ibot": lambda trunk: IBOT(trunk, None, **HEAD),
    "ibot-sinkhorn": lambda trunk: IBOT(trunk, None, **HEAD, centering="sinkhorn-knopp"),
    "ibot-separate": lambda trunk: IBOT(trunk, None, **HEAD, separate_heads=True),
    "dinov2": lambda trunk: DINOv2(trunk, None, **HEAD),
}


def method(kind="ibot"):
    """A student and a teacher that differ, centers and a mask token that are not 0."""
    torch.manual_seed(0)
    made = KINDS[kind](Backbone("vit_tiny_patch16_224", **VIT))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for values in (*made.parameters(), made.center, made.patch_center):
            values.add_(0.3 * torch.randn(values.shape, generator=generator))
    return made


def batches(count=4, sizes=(16, 16, 8)):
    generator = torch.Generator().manual_seed(2)
    return [torch.rand(count, 3, size, size, generator=generator, dtype=torch.float64) for size in sizes]


def fixed_counts(images, patches, share, ratio):
    return [3] * (images // 2) + [0] * (images // 2)


def fixed_masks(counts, grid, device):
    """Every other image has the same three of its four patches masked, whatever the batch."""
    mask = torch.zeros(len(counts), 4, dtype=torch.bool)
    mask[::2] = torch.tensor([True, False, True, True])
    return mask


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    monkeypatch.setattr(masked_dino, "block_counts", fixed_counts)
    monkeypatch.setattr(masked_dino, "block_masks", fixed_masks)


def softmax(rows):
    exp = np.exp(rows - rows.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


def reference(made, views, kind, temperature):
    """The official iBOTLoss (and, for dinov2, its three losses), an image at a time, in float64.

    Returns the loss, and the new centers of class tokens and of patches.
    """
    mask = fixed_masks([0] * 8, None, None)
    large = torch.cat(views[:2])
    with torch.no_grad():
        teacher = made.trunk.tokens(large)
        student = made.student[0].tokens(large, mask=mask, mask_token=made.mask_token)
        small = [made.student[0](view).numpy() for view in views[2:]]

    def through(module, x):
        x = x.detach().numpy() if isinstance(x, torch.Tensor) else x
        found = head(x.reshape(-1, x.shape[-1]), list(module.parameters()))
        return found.reshape(*x.shape[:-1], -1)

    t_class, t_patch = through(made.head, teacher.embedding), through(made.patch_head, teacher.patches)
    s_class = through(made.student[1], np.concatenate([student.embedding.numpy(), *small]))
    s_patch = through(made.student[2], student.patches)
    if kind in ("dinov2", "ibot-sinkhorn"):
        p_class = official_sinkhorn(torch.tensor(t_class / temperature)).numpy()
        p_patch = np.zeros_like(t_patch)
        p_patch[mask.numpy()] = official_sinkhorn(torch.tensor(t_patch[mask.numpy()] / temperature)).numpy()
    else:
        p_class = softmax((t_class - made.center.numpy()) / temperature)
        p_patch = softmax((t_patch - made.patch_center.numpy()) / temperature)
    log_class, log_patch = np.log(softmax(s_class / 0.1)), np.log(softmax(s_patch / 0.1))
    class_terms, patch_terms = [], []
    for q in range(2):
        for v in range(len(views)):
            if q != v:
                pairs = zip(p_class[4 * q : 4 * q + 4], log_class[4 * v : 4 * v + 4])
                class_terms.append(np.mean([-(p * s).sum() for p, s in pairs]))
        for i in range(4 * q, 4 * q + 4):
            each = [-(p_patch[i, j] * log_patch[i, j]).sum() for j in range(4) if mask[i, j]]
            patch_terms.append(sum(each) / max(1, len(each)))
    loss = np.mean(class_terms) + np.mean(patch_terms)
    if kind == "dinov2":
        for z in np.split(student.embedding.numpy(), 2):
            z = z / np.linalg.norm(z, axis=1, keepdims=True)
            nearest = [min(np.linalg.norm(a - b) for j, b in enumerate(z) if j != i) for i, a in enumerate(z)]
            loss -= 0.1 * np.mean(np.log(nearest))
    return loss, *(0.9 * c.numpy() + 0.1 * x.reshape(-1, 9).mean(0) for c, x in
                   ((made.center, t_class), (made.patch_center, t_patch)))  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_centers_equal_the_reference(kind):
    made = method(kind).double()
    loss, *centers = reference(made, batches(), kind, 0.055)
    before = made.center.clone()
    out = made(batches(), progress=0.05)
    assert out["loss"].item() == pytest.approx(loss, rel=1e-6)
    if kind in ("dinov2", "ibot-sinkhorn"):
        assert torch.equal(made.center, before)
    else:
        np.testing.assert_allclose(made.center, centers[0], rtol=1e-6)
        np.testing.assert_allclose(made.patch_center, centers[1], rtol=1e-6)


@pytest.mark.parametrize("kind", ["ibot", "dinov2"])
def test_the_gradient_is_the_slope_of_the_reference(kind):
    made, views = method(kind).double(), batches(sizes=(16, 16))
    made(views, 0.05)["loss"].backward()
    made.center.copy_(method(kind).center)  # they have moved
    made.patch_center.copy_(method(kind).patch_center)
    parameters = [p for p in made.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in parameters)
    generator = torch.Generator().manual_seed(3)
    directions = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in parameters]
    losses = []
    for step in (-1e-6, 1e-6):
        with torch.no_grad():
            for p, d in zip(parameters, directions):
                p.add_(d, alpha=step)
        losses.append(reference(made, views, kind, 0.055)[0])
        with torch.no_grad():
            for p, d in zip(parameters, directions):
                p.sub_(d, alpha=step)
    slope = sum((p.grad * d).sum().item() for p, d in zip(parameters, directions))
    assert slope == pytest.approx((losses[1] - losses[0]) / 2e-6, rel=1e-5)


def test_teacher_and_hooks():
    made = method("dinov2").double()
    student, teacher = ([p.detach().clone() for p in net.parameters()] for net in (made.student, made.teacher))
    made(batches(), 0.0)["loss"].backward()
    assert not any(p.requires_grad for p in made.teacher.parameters())
    made.after_backward(0.0)
    frozen = {name for name, p in made.student.named_parameters() if p.grad is None}
    assert frozen == {"1.1.weight", "1.1.length", "2.1.weight", "2.1.length"}
    made.after_step(0.0)
    for now, t, s in zip(made.teacher.parameters(), teacher, student, strict=True):
        torch.testing.assert_close(now, 0.992 * t + 0.008 * s)
    assert made.project(batches()[0]).norm(dim=1).tolist() == pytest.approx([1.0] * 4)
    shared = method("ibot")
    assert shared.student[1] is shared.student[2]


@pytest.mark.parametrize(("options", "least", "local"), [(IbotViewsOptions, 0.25, 10), (DinoV2ViewsOptions, 0.32, 8)])
def test_views_are_the_official_ones(options, least, local):
    """iBOT's as its README trains a ViT-S, DINOv2's as in its default configuration: only the crops are not DINO's."""
    color = {"jitter": 0.8, "brightness": 0.4, "contrast": 0.4, "saturation": 0.2, "hue": 0.1, "gray": 0.2}
    first, second = (View(224, (least, 1.0), blur=b, solarize=s, **color) for b, s in ((1.0, 0.0), (0.1, 0.2)))
    small = View(96, (0.05, least), blur=0.5, **color)
    assert build(options()).views == (first, second, *[small] * local)


@pytest.mark.parametrize("made", [IBOT, DINOv2])
def test_heads_are_the_official_ones(made):
    """iBOT's README shares one head, DINOv2's configurations for large networks do not; lengths are learned in both."""
    found = made(Backbone("vit_tiny_patch16_224", **VIT), None, **HEAD)
    assert (found.head is found.patch_head) == (made is IBOT)
    for each in {found.student[1], found.student[2]}:
        assert [tuple(p.shape) for p in each.parameters()] == [
            (10, 12), (10,), (10, 10), (10,), (6, 10), (6,), (9, 6), (9, 1),
        ]  # fmt: skip
        assert all(p.requires_grad for p in each.parameters())
        assert (each[1].length == 1).all()


@pytest.mark.parametrize("kind", ["ibot", "dinov2"])
def test_float32_under_autocast(kind):
    made, views = method(kind), [view.float() for view in batches()]
    expected = method(kind)(views, 0.5)["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        found = made(views, 0.5)["loss"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0)


def without_koleo(kind):
    made = method(kind).double()
    made.koleo_weight = 0.0  # of each process's own batch
    return made


def rank_of_two(rank, folder, kind):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    masked_dino.block_counts, masked_dino.block_masks = fixed_counts, fixed_masks  # spawned, it lacks the fixture
    model = DistributedDataParallel(without_koleo(kind))
    model([view.chunk(2)[rank] for view in batches(sizes=(16, 16))], progress=0.5)["loss"].backward()
    dist.destroy_process_group()
    if rank == 0:
        os._exit(0)  # a thread of gloo's can outlive the interpreter, which then aborts
    return {n: p.grad for n, p in model.module.named_parameters()}, model.module.patch_center


@pytest.mark.parametrize("kind", ["ibot", "dinov2"])
def test_two_processes_are_as_one(tmp_path, kind):
    other = mp.spawn(rank_of_two, args=(str(tmp_path), kind), nprocs=1, join=False)  # its rank is 0
    gradients, center = rank_of_two(1, tmp_path, kind)
    other.join()
    made = without_koleo(kind)
    made(batches(sizes=(16, 16)), 0.5)["loss"].backward()
    for name, parameter in made.named_parameters():
        if parameter.requires_grad:
            torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-7, atol=1e-11)
    torch.testing.assert_close(center, made.patch_center, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", ["ibot", "dinov2"])
def test_it_learns(kind):
    """Six kinds of images, under noise: the teacher comes to tell them apart, of at most log 9 nats."""
    torch.manual_seed(0)
    trunk = Backbone("vit_tiny_patch16_224", **VIT)
    options = {"momentum": 0.9, "teacher_temperature": (0.02, 0.02), "centering": "sinkhorn-knopp"}
    options |= {"patch_temperature": (0.02, 0.02)} if kind == "ibot" else {}
    options |= {"norm_last_layer": True}
    made = {"ibot": IBOT, "dinov2": DINOv2}[kind](trunk, None, prototypes=9, hidden=32, bottleneck=16, **options)
    colors = torch.rand(6, 3, 2, 2, generator=torch.Generator().manual_seed(0)).repeat_interleave(8, 2)
    colors = colors.repeat_interleave(8, 3)

    def views(count):
        kinds = colors[torch.randint(6, (count,))]
        return [kinds + 0.1 * torch.randn(count, 3, 16, 16) for _ in range(2)]

    optimizer = torch.optim.AdamW([p for p in made.parameters() if p.requires_grad], lr=3e-3)
    for step in range(400):
        optimizer.zero_grad()
        out = made(views(32), step / 400)
        out["loss"].backward()
        optimizer.step()
        made.after_step(step / 400)
    with torch.no_grad():
        t = torch.softmax(made.head(made.trunk(views(256)[0])) / 0.02, 1)
    told = torch.special.entr(t.mean(0)).sum() - torch.special.entr(t).sum(1).mean()
    assert told > 0.25
