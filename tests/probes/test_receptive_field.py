import math
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.heads.deeplab import DeepLabV3
from twinsight.heads.setr import SetrPup
from twinsight.probes.network.field_figures import broken
from twinsight.probes.network.field_shape import Shape
from twinsight.probes.network.receptive_field import BATCH, ReceptiveField
from twinsight.segmentation.model import SegmentationModel

TINY_VIT = {"embed_dim": 16, "depth": 2, "num_heads": 2}


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def images(count, height, width):
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8)


def ones_stack(specs):
    """Convolutions of ones, (kernel, stride, dilation) each, one channel after the first."""
    layers = [nn.Conv2d(3 if i == 0 else 1, 1, k, s, d * (k // 2), d, bias=False) for i, (k, s, d) in enumerate(specs)]
    for layer in layers:
        nn.init.ones_(layer.weight)
    return nn.Sequential(*layers)


def reference(specs, side):
    """(side,) float64: how often each pixel is counted by the central unit, traced back by numpy's convolution."""
    sizes = [side]
    for _, stride, _ in specs:
        sizes.append((sizes[-1] - 1) // stride + 1)
    field = np.zeros(sizes[-1])
    field[sizes[-1] // 2] = 1
    for (kernel, stride, dilation), size in zip(specs[::-1], sizes[-2::-1]):
        taps = np.zeros((kernel - 1) * dilation + 1)
        taps[::dilation] = 1
        spread = np.zeros(size)
        spread[::stride] = field
        field = np.convolve(spread, taps, mode="full")[len(taps) // 2 :][:size]
    return field


@pytest.mark.parametrize(
    "specs",
    [
        [(3, 1, 1)] * 5,
        [(3, 2, 1), (3, 1, 1), (5, 1, 1)],
        [(3, 1, 2), (3, 1, 4)],
        [(7, 2, 1), (3, 2, 1), (3, 1, 2)],
    ],
)
def test_fields_of_ones_are_exact(specs):
    finding = ReceptiveField()(ones_stack(specs), images(2, 37, 52))
    for i in range(len(specs)):
        expected = 3 * np.outer(reference(specs[: i + 1], 37), reference(specs[: i + 1], 52))
        np.testing.assert_array_equal(finding.arrays[str(i)], expected)


def test_deep_stack_is_gaussian_and_grows_like_the_root_of_depth():
    model = ones_stack([(3, 1, 1)] * 40)
    for layer in model:
        layer.weight.data /= 9
    finding = ReceptiveField(layers=("9", "39"))(model, images(1, 101, 101))
    for layer, depth in (("9", 10), ("39", 40)):
        row = finding.arrays[layer][50].astype(np.float64)
        sigma = math.sqrt(depth * 2 / 3)  # three equal taps have variance 2 / 3
        x = np.arange(-round(1.5 * sigma), round(1.5 * sigma) + 1)
        curvature, slope, _ = np.polyfit(x, np.log(row[50 + x]), 2)
        assert math.sqrt(-1 / (2 * curvature)) == pytest.approx(sigma, rel=0.03)
        assert abs(slope) < 1e-3
        assert finding.numbers[f"{layer}/radius50"] == pytest.approx(sigma * math.sqrt(2 * math.log(2)), abs=0.5)
        assert finding.numbers[f"{layer}/radius95"] == pytest.approx(sigma * math.sqrt(2 * math.log(20)), abs=0.5)
        assert finding.numbers[f"{layer}/entropy"] == pytest.approx(1 + math.log(2 * math.pi * sigma**2), abs=0.02)
        assert finding.numbers[f"{layer}/asymmetry"] < 1e-5


def covered(field):
    """(top, bottom, left, right), the last ones excluded, if the pixels that count fill a rectangle."""
    rows, columns = np.nonzero(field.any(1))[0], np.nonzero(field.any(0))[0]
    box = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    assert (field[box[0] : box[1], box[2] : box[3]] > 0).all()
    return box


def test_patchify_sees_its_patch():
    model = nn.Sequential(nn.Conv2d(3, 8, 4, stride=4), nn.GELU(), nn.Conv2d(8, 5, 1))
    finding = ReceptiveField()(model, images(3, 20, 32))
    assert list(finding.arrays) == ["0", "2"]
    for field in finding.arrays.values():
        assert covered(field) == (8, 12, 16, 20)


@pytest.mark.parametrize(("name", "embedding", "block", "options"), [
    ("vit_tiny_patch16_224", "patch_embed.proj", "blocks.1", TINY_VIT),
    ("vit_small_patch16_dinov3", "patch_embed.proj", "blocks.1", TINY_VIT),
    ("vit-pytorch", "vit.to_patch_embedding.2", "vit.transformer.layers.1.1",
     {"dim": 12, "depth": 2, "heads": 2, "mlp_dim": 24}),
])  # fmt: skip
def test_tokens_return_to_their_patches(name, embedding, block, options):
    """Without attention, a token sees its own patch only; the images are padded to 48 x 80, three by five patches."""
    backbone = Backbone(name, **options)
    for path, module in backbone.named_modules():
        if path.endswith(("attn.proj", "to_out.0")):
            nn.init.zeros_(module.weight)
    finding = ReceptiveField()(backbone, images(2, 40, 72))
    assert [next(iter(finding.arrays)), list(finding.arrays)[-1]] == [embedding, block]
    for field in finding.arrays.values():
        assert covered(field) == (16, 32, 32, 48)


def test_with_attention_a_token_sees_everything():
    field = ReceptiveField(layers=("blocks.0",))(Backbone("vit_tiny_patch16_224", **TINY_VIT), images(1, 48, 64)).arrays
    assert covered(field["blocks.0"]) == (0, 48, 0, 64)


def test_swin_sees_its_window():
    """Windows of 7 x 7 tokens, 4 pixels each; 16 channels on 16 x 16 tokens do not tell which is which."""
    swin = Backbone("swin_tiny_patch4_window7_224", embed_dim=16, depths=(2, 1, 1, 1), num_heads=(1, 2, 2, 2))
    layers = ("patch_embed.proj", "layers.0.blocks.0", "layers.0.blocks.1")
    finding = ReceptiveField(layers)(swin, images(1, 64, 64))
    assert covered(finding.arrays["patch_embed.proj"]) == (32, 36, 32, 36)
    assert covered(finding.arrays["layers.0.blocks.0"]) == (28, 56, 28, 56)
    assert covered(finding.arrays["layers.0.blocks.1"])[0] < 28  # the shifted windows look into their neighbors


RESNET = ["conv1"] + [f"layer{i}.{j}" for i in (1, 2, 3, 4) for j in (0, 1)]


def segmenter(name, head, **options):
    backbone = Backbone(name, **options)
    return SegmentationModel(backbone, head(backbone.dims, backbone.strides, 5, channels=8))


@pytest.mark.parametrize(("make", "expected"), [
    (lambda: Backbone("resnet18"), RESNET),
    (lambda: Backbone("vit_tiny_patch16_224", **TINY_VIT), ["patch_embed.proj", "blocks.0", "blocks.1"]),
    (lambda: Backbone("convnext_atto", depths=(1, 1, 1, 1), dims=(8, 8, 8, 8)),
     ["stem.0", "stages.0.blocks.0"]
     + [f"stages.{i}.{part}" for i in (1, 2, 3) for part in ("downsample.1", "blocks.0")]),
    (lambda: segmenter("resnet18", DeepLabV3, output_stride=16),
     [f"backbone.{name}" for name in RESNET] + [f"head.classifier.{i}" for i in (0, 1, 4)]),
    (lambda: segmenter("vit_tiny_patch16_224", SetrPup, **TINY_VIT),
     ["backbone.patch_embed.proj", "backbone.blocks.0", "backbone.blocks.1"]
     + [f"head.decode.{i}" for i in (1, 3, 5, 7, 8)]),
])  # fmt: skip
def test_layers_are_blocks_and_what_is_around_them(make, expected):
    assert list(ReceptiveField(count=99)(make(), images(1, 64, 64)).arrays) == expected


@pytest.mark.parametrize(("count", "expected"), [(1, [8]), (2, [0, 8]), (3, [0, 4, 8]), (5, [0, 2, 4, 6, 8])])
def test_default_layers_are_evenly_spaced(count, expected):
    finding = ReceptiveField(count=count)(ones_stack([(3, 1, 1)] * 9), images(1, 9, 9))
    assert list(finding.arrays) == [str(i) for i in expected]


@pytest.mark.parametrize("name", ["layer1.0", "network.layer1.0"])
def test_a_backbones_layers_by_short_and_full_name(name):
    finding = ReceptiveField(layers=(name,))(Backbone("resnet18"), images(1, 64, 64))
    assert list(finding.arrays) == ["layer1.0"]
    assert set(finding.numbers) == {
        f"layer1.0/{number}" for number in ("area", "radius50", "radius95", "entropy", "asymmetry")
    }


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = ones_stack([(3, 1, 1)])[0]
        self.mix = nn.Conv2d(1, 3, 1, bias=False)
        nn.init.ones_(self.mix.weight)

    def forward(self, x):
        return self.conv(self.mix(self.conv(x)))


def test_the_last_call_counts():
    finding = ReceptiveField()(Twice(), images(1, 15, 15))
    assert list(finding.arrays) == ["mix", "conv"]
    assert covered(finding.arrays["mix"]) == (6, 9, 6, 9)
    assert covered(finding.arrays["conv"]) == (5, 10, 5, 10)


def test_what_follows_in_place_does_not_count():
    conv = nn.Conv2d(3, 1, 3, padding=1)
    nn.init.constant_(conv.bias, -100.0)
    finding = ReceptiveField()(nn.Sequential(conv, nn.ReLU(inplace=True), nn.Conv2d(1, 1, 1)), images(1, 9, 9))
    assert covered(finding.arrays["0"]) == (3, 6, 3, 6)
    assert not finding.arrays["2"].any()
    assert all(math.isnan(finding.numbers[f"2/{number}"]) for number in ("area", "radius95", "entropy", "asymmetry"))
    finding.figures["strip"].figure().draw_without_rendering()
    finding.figures["profiles"].figure().draw_without_rendering()


def test_images_are_averaged_cut_and_may_be_float():
    model = nn.Sequential(nn.Conv2d(3, 4, 5, padding=2), nn.GELU(), nn.Conv2d(4, 4, 3, padding=1))
    first, second = images(1, 24, 31)[0], images(1, 20, 40)[0]
    probe = ReceptiveField(layers=("2",))
    both = probe(model, [first, second]).arrays["2"]
    assert both.shape == (20, 31)
    alone = [probe(model, [image]).arrays["2"] for image in (first[:, 2:22], (second[:, :, 4:35] / 255.0))]
    np.testing.assert_allclose(both, np.mean(alone, axis=0), rtol=1e-5)


def test_one_small_batch_at_a_time_and_one_run_for_all_layers():
    model = nn.Sequential(*[layer for _ in range(4) for layer in (nn.Conv2d(3, 3, 3, padding=1), nn.GELU())])
    outputs, sizes = [], []

    def before(module, inputs):
        assert not any(output() is not None for output in outputs)  # the last run's graph is gone
        sizes.append(len(inputs[0]))

    model.register_forward_pre_hook(before)
    for layer in model:
        layer.register_forward_hook(lambda module, inputs, output: outputs.append(weakref.ref(output)))
    ReceptiveField()(model, images(2 * BATCH + 1, 9, 9))
    assert sizes == [BATCH, BATCH, 1]


class Failing(nn.Module):
    def forward(self, x):
        raise RuntimeError("fails")


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_is_left_as_it_was(fails):
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Dropout(), nn.Conv2d(4, 4, 3), Failing() if fails else nn.Identity()
    )
    model[1].eval()
    model[0].weight.requires_grad = False
    model[3].weight.grad = torch.ones_like(model[3].weight)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pictures = images(2, 12, 12)
    random = torch.get_rng_state()
    if fails:
        with pytest.raises(RuntimeError, match="fails"):
            ReceptiveField()(model, pictures)
    else:
        ReceptiveField()(model, pictures)
    assert [module.training for module in model] == [True, False, True, True, True]
    assert [name for name, p in model.named_parameters() if not p.requires_grad] == ["0.weight"]
    assert [name for name, p in model.named_parameters() if p.grad is not None] == ["3.weight"]
    assert (model[3].weight.grad == 1).all()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random)


def test_works_in_inference_mode():
    model, pictures = ones_stack([(3, 1, 1)] * 2), images(2, 9, 9)
    expected = ReceptiveField()(model, pictures).arrays
    with torch.inference_mode():
        found = ReceptiveField()(model, pictures).arrays
    assert all((found[name] == expected[name]).all() for name in expected)


def test_area_counts_pixels_above_the_threshold():
    conv = nn.Conv2d(3, 1, 4, stride=4, bias=False)
    nn.init.zeros_(conv.weight)
    conv.weight.data[0, 0, 0] = torch.tensor([2.0, 1.0, 0.1, 0.08])  # shares of the maximum: 1, 0.5, 0.05, 0.04
    for threshold, area in ((0.0455, 3), (0.5, 1), (0.03, 4)):
        assert ReceptiveField(threshold=threshold)(nn.Sequential(conv), images(1, 8, 8)).numbers["0/area"] == area


@pytest.mark.parametrize(
    ("field", "center", "radius50", "radius95", "entropy", "asymmetry"),
    [
        ([[0, 0, 0], [0, 0, 5]], (1, 2), 0, 0, 0, 0),
        ([[3, 0, 0, 0, 3]], (0, 2), 2, 2, math.log(2), 0),
        ([[1, 1], [1, 1]], (0.5, 0.5), math.sqrt(0.5), math.sqrt(0.5), math.log(4), 0),
        ([[1, 0, 2, 0, 1]], (0, 2), 0, 2, 1.5 * math.log(2), 0),
        # About (0.5, 0.5) the corner turns into the one pixel that was empty.
        ([[1, 1], [1, 0]], (1 / 3, 1 / 3), math.hypot(2, 1) / 3, math.hypot(2, 1) / 3, math.log(3), 1 / 3),
        # About column 1: the first becomes the third, the last leaves the image.
        ([[3, 0, 0, 1]], (0, 0.75), 0.75, 2.25, 2 * math.log(2) - 0.75 * math.log(3), 1),
    ],
)
def test_shapes_of_small_maps(field, center, radius50, radius95, entropy, asymmetry):
    shape = Shape.of(np.array(field, np.float32))
    assert shape.center == pytest.approx(center)
    assert shape[1:] == pytest.approx((radius50, radius95, entropy, asymmetry))


class Wide(nn.Module):
    """Has a layer that is not a map, one that is not run and one that the image does not reach."""

    def __init__(self):
        super().__init__()
        self.stem, self.other, self.aside = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3), nn.Conv2d(1, 4, 3)
        self.classifier = nn.Linear(4, 2)

    def forward(self, x):
        return self.classifier((self.stem(x) + self.aside(torch.ones(1, 1, *x.shape[2:]))).mean((2, 3)))


@pytest.mark.parametrize("layer", ["classifier", "other", "aside"])
def test_a_layer_without_a_map(layer):
    assert list(ReceptiveField()(Wide(), images(1, 8, 8)).arrays) == ["stem"]
    with pytest.raises(UserError, match=f"--layers {layer}: does not output a map"):
        ReceptiveField(layers=("stem", layer))(Wide(), images(1, 8, 8))


def test_unknown_layers_are_named_with_those_that_are_meant():
    with pytest.raises(UserError, match=r"--layers layer1\.O: Backbone has no such layer; did you mean .*layer1\.0"):
        ReceptiveField(layers=("layer1.O",))(Backbone("resnet18"), images(1, 64, 64))
    with pytest.raises(UserError, match=r"--layers qqq: Wide .*stem"):
        ReceptiveField(layers=("qqq",))(Wide(), images(1, 8, 8))


def test_a_network_without_maps():
    with pytest.raises(UserError, match="Sequential has no layer that outputs a map"):
        ReceptiveField()(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), images(1, 8, 8))


@pytest.mark.parametrize(
    ("options", "message"), [({"count": 0}, "--count 0"), ({"threshold": 1.5}, r"--threshold 1\.5")]
)
def test_impossible_options(options, message):
    with pytest.raises(UserError, match=message):
        ReceptiveField(**options)


@pytest.mark.parametrize(
    ("name", "width", "expected"),
    [
        ("conv1", 15, "conv1"),
        ("layers.0.blocks.1", 15, "layers.0.\nblocks.1"),
        ("head.classifier.4", 15, "head.\nclassifier.4"),
        ("a.extraordinarily_long.b", 11, "a.\nextra…long.\nb"),
    ],
)
def test_long_names_are_broken_at_their_dots(name, width, expected):
    assert broken(name, width) == expected


def test_no_label_is_cut():
    names = [f"backbone.encoder_of_images.layers.{i}.mlp" for i in range(9)]
    model = nn.Sequential()
    for name in names:
        inner = model
        for part in name.split("."):
            if part not in dict(inner.named_children()):
                inner.add_module(part, nn.Conv2d(3, 3, 3, padding=1) if part == "mlp" else nn.Sequential())
            inner = inner.get_submodule(part)
    finding = ReceptiveField(layers=names)(model, images(1, 20, 12))
    for plot in finding.figures.values():
        assert plot.width <= 7.2
        figure = plot.figure()
        figure.draw_without_rendering()
        drawn = figure.get_tightbbox()
        assert 0 <= drawn.x0 < drawn.x1 <= plot.width
        assert 0 <= drawn.y0 < drawn.y1 <= plot.height
