import math

import numpy as np
import pytest
import torch
from torch import nn

from twinsight.backbones.backbone import Backbone, Features
from twinsight.errors import UserError
from twinsight.probes.fits.pca import principal_axes, project
from twinsight.probes.patches.features import PatchFeatures, color_range, some, unpadded
from twinsight.probes.probe import effective_rank


class Pixels(nn.Module):
    """A level whose patches are `cell` pixels wide and whose features are their mean color times a (3, D) matrix.

    Images are padded with gray to the next multiple of the cell.
    """

    dims = (3,)
    name = "pixels"

    def __init__(self, matrix=None, cell=4):
        super().__init__()
        self.matrix = nn.Parameter(torch.eye(3) if matrix is None else matrix)
        self.cell = cell

    def features(self, images, levels):
        height, width = images.shape[-2:]
        padding = (0, -width % self.cell, 0, -height % self.cell)
        padded = nn.functional.pad(images.float(), padding, value=127.0)
        colors = nn.functional.avg_pool2d(padded, self.cell)
        maps = torch.einsum("bchw,cd->bdhw", colors, self.matrix)
        return Features(maps.mean((2, 3)), [maps], tuple(padded.shape[-2:]))


def noise(*sizes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randint(0, 256, (3, *size), generator=generator, dtype=torch.uint8) for size in sizes]


def drawn(finding, name):
    """Images on the figure's axes, row by row."""
    return [np.asarray(axis.images[0].get_array()) for axis in finding.figures[name].figure().axes if axis.images]


def test_principal_axes_equal_numpys_svd_however_the_vectors_are_cut():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(57, 9)) * np.linspace(3, 1, 9) + rng.normal(size=9)
    centered = vectors - vectors.mean(0)
    singular, axes = np.linalg.svd(centered)[1:]
    mean, found, shares = principal_axes(torch.from_numpy(vectors).split([20, 1, 36]), 3)
    np.testing.assert_allclose(mean, vectors.mean(0))
    np.testing.assert_allclose(shares, (singular**2 / (singular**2).sum())[:3])
    for i in range(3):
        expected = axes[i] * np.sign(axes[i][np.abs(axes[i]).argmax()])
        np.testing.assert_allclose(found[:, i], expected, atol=1e-12)
    np.testing.assert_allclose(project(torch.from_numpy(vectors), mean, found), centered @ found.numpy(), atol=1e-12)


def test_fewer_vectors_than_dimensions():
    vectors = torch.tensor([[1.0, 0, 0, 5], [-1, 0, 0, 5]])
    mean, axes, shares = principal_axes([vectors], 2)
    assert mean.tolist() == [0, 0, 0, 5]
    torch.testing.assert_close(axes[:, 0], torch.tensor([1.0, 0, 0, 0], dtype=torch.float64))
    torch.testing.assert_close(shares, torch.tensor([1.0, 0], dtype=torch.float64))


def test_equal_vectors_have_no_shares():
    assert principal_axes([torch.ones(4, 3)], 2)[2].isnan().all()


def test_features_along_one_axis_are_one_component_and_the_others_gray():
    ramp = torch.linspace(0, 1, 101)[:, None]
    direction = torch.tensor([[-2.0, 1, 0, 0]])
    chunks = [ramp * direction + 1e-7 * torch.randn(101, 4, generator=torch.Generator().manual_seed(0))]
    mean, axes, shares = principal_axes(chunks, 3)
    assert shares[0] == pytest.approx(1)
    scores = project(chunks[0], mean, axes)
    low, span = color_range(scores)
    colors = (scores - low) / span
    # The largest loading is positive, so the component falls along the ramp; percentiles 1 to 99 become 0 to 1.
    assert colors[99, 0] == pytest.approx(0, abs=1e-4)
    assert colors[1, 0] == pytest.approx(1, abs=1e-4)
    torch.testing.assert_close(colors[:, 1:], torch.full((101, 2), 0.5, dtype=torch.float64), atol=0.01, rtol=0)


def test_one_color_means_the_same_in_all_images():
    # Each patch is one color; the second image consists of patches of the first, turned round.
    first = noise((8, 8))[0].repeat_interleave(8, 1).repeat_interleave(8, 2)
    second = first.flip(2)
    finding = PatchFeatures()(Pixels(cell=8), [first, second])
    _, one, _, two = drawn(finding, "components")
    np.testing.assert_allclose(one.astype(int), two[:, ::-1].astype(int), atol=1)  # rounding
    assert one.std() > 20
    alone = PatchFeatures()(Pixels(cell=8), [first])
    assert alone.numbers["explained1"] == pytest.approx(finding.numbers["explained1"])


def test_shares_are_those_of_all_patches_of_all_images():
    matrix = torch.randn(3, 7, generator=torch.Generator().manual_seed(1))
    images = noise((8, 12), (12, 4), (4, 4))
    patches = np.concatenate(
        [x.double().unfold(1, 4, 4).unfold(2, 4, 4).mean((3, 4)).flatten(1).T.numpy() @ matrix.numpy() for x in images]
    )
    singular = np.linalg.svd(patches - patches.mean(0), compute_uv=False)
    numbers = PatchFeatures()(Pixels(matrix), images).numbers
    for i in range(3):
        assert numbers[f"explained{i + 1}"] == pytest.approx(singular[i] ** 2 / (singular**2).sum(), rel=1e-4)
    assert numbers["effective_rank"] == pytest.approx(effective_rank(torch.from_numpy(patches)), rel=1e-4)


@pytest.mark.parametrize(("size", "part"), [((5, 9), (2, 3)), ((8, 8), (2, 2)), ((1, 1), (1, 1)), ((4, 12), (1, 3))])
def test_patches_wholly_in_padding_are_left_out(size, part):
    assert unpadded(torch.zeros(6, 4, 4), (16, 16), size).shape == (6, *part)


def test_padding_is_in_neither_the_analysis_nor_the_figure():
    image = noise((16, 16))[0]
    network = Pixels()

    def features(images, levels):
        found = Pixels.features(network, images, levels)
        wide = nn.functional.pad(found.maps[0], (0, 2, 0, 3), value=1e4)
        return Features(found.embedding, [wide], (16 + 12, 16 + 8))

    plain = PatchFeatures()(network, [image])
    network.features = features
    padded = PatchFeatures()(network, [image])
    assert padded.numbers == pytest.approx(plain.numbers)
    shown, expected = drawn(padded, "channels")[1], drawn(plain, "channels")[1]
    assert shown.shape == (16, 16, 3)
    np.testing.assert_array_equal(shown[:14, :14], expected[:14, :14])  # up to half a patch from the border


def test_at_most_so_many_patches_and_images():
    vectors = torch.arange(5000.0)[:, None]
    assert len(some(vectors)) == 4096
    assert torch.equal(some(vectors), some(vectors))
    assert len(some(vectors).unique()) == 4096
    finding = PatchFeatures(shown=5)(Pixels(), noise(*[(8, 8)] * 7))
    assert len(drawn(finding, "components")) == 10
    assert len(drawn(finding, "channels")) == 16


@pytest.mark.parametrize("level", [0, 4, -1, -5])
def test_a_backbone_of_odd_sizes_is_left_as_it_was(level):
    torch.manual_seed(0)
    backbone = Backbone("resnet10t").train()
    backbone.network.layer1.eval()
    modes = [module.training for module in backbone.modules()]
    state = torch.get_rng_state()
    finding = PatchFeatures(level)(backbone, noise((33, 47), (64, 32)))
    assert [module.training for module in backbone.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in backbone.parameters())
    assert {image.shape for image in drawn(finding, "channels")} == {(33, 47, 3), (64, 32, 3)}
    shares = [finding.numbers[f"explained{i}"] for i in (1, 2, 3)]
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 1 + 1e-9


def test_float_images_give_what_bytes_give():
    backbone = Backbone("resnet10t")
    images = noise((32, 32), (32, 32))
    expected = PatchFeatures(2)(backbone, images).numbers
    assert PatchFeatures(2)(backbone, [image / 255 for image in images]).numbers == pytest.approx(expected, rel=1e-4)


def test_one_patch():
    numbers = PatchFeatures()(Pixels(), noise((4, 4))).numbers
    assert math.isnan(numbers["explained1"])
    assert numbers["effective_rank"] == pytest.approx(1)
    drawn(PatchFeatures()(Pixels(), noise((4, 4))), "components")


@pytest.mark.parametrize("level", [5, 9, -6])
def test_no_such_level(level):
    with pytest.raises(UserError, match=rf"--level {level}: no such level in resnet10t; give 0 to 4, or -1 to -5"):
        PatchFeatures(level)(Backbone("resnet10t"), noise((32, 32)))


def test_nothing_shown():
    with pytest.raises(UserError, match="--shown 0"):
        PatchFeatures(shown=0)
