import math

import numpy as np
import pytest
import torch
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.samples import VOID
from twinsight.errors import UserError
from twinsight.heads.linear import Linear
from twinsight.probes.draw import overlay
from twinsight.probes.segmentation.predictions import PALE, WRONG, Predictions, compare, errors
from twinsight.probes.side_by_side import together
from twinsight.segmentation.model import SegmentationModel

CLASSES = ("background", "cat", "dog")
PALETTE = np.array([[0, 0, 0], [200, 0, 100], [0, 50, 250]], np.uint8)


class Fixed(nn.Module):
    """Logits whose softmax is given, whatever the image."""

    def __init__(self, probabilities: torch.Tensor):
        super().__init__()
        self.logits = nn.Parameter(probabilities.log())

    def forward(self, images):
        return self.logits.expand(len(images), *self.logits.shape)


def test_calibration_and_scores_of_hand_made_probabilities():
    # Four pixels in a row: right and sure, right and unsure, wrong and sure, void and sure.
    probabilities = torch.tensor([[0.9, 0.4, 0.1, 0.98], [0.05, 0.3, 0.8, 0.01], [0.05, 0.3, 0.1, 0.01]])[:, None]
    truth = torch.tensor([[0, 0, 2, VOID]], dtype=torch.uint8)
    image = torch.zeros(3, 1, 4, dtype=torch.uint8)
    finding = Predictions(CLASSES, PALETTE)(Fixed(probabilities), [image], [truth])
    assert finding.numbers == pytest.approx(
        {
            "mean_iou": (1 + 0 + 0) / 3,
            "pixel_accuracy": 2 / 3,
            "mean_confidence": (0.9 + 0.4 + 0.8 + 0.98) / 4,
            "calibration_gap": (0.9 + 0.4 + 0.8) / 3 - 2 / 3,
        },
        abs=1e-6,
    )
    (scene,) = finding.scenes
    assert scene.masks["prediction"].tolist() == [[0, 0, 1, 0]]
    assert scene.masks["truth"].tolist() == [[0, 0, 2, VOID]]
    assert scene.masks["prediction"].dtype == scene.masks["truth"].dtype == np.uint8
    assert scene.classes == CLASSES


def test_errors_mark_what_is_wrong_and_never_void():
    image = np.zeros((6, 80, 3), np.uint8)
    image[..., 0] = 200  # its luma is 60
    truth = np.zeros((6, 80), np.uint8)
    prediction = truth.copy()
    prediction[:3] = 1
    truth[:, 40:] = VOID
    marked = errors(image, prediction, truth)
    assert (marked[4:, :39] == 114).all()  # 60 of 255, between 70 and 255
    assert abs(marked[:2, :39] - (0.2 * 114 + 0.8 * WRONG)).max() <= 1
    void = marked[:, 40:]
    assert (void[..., 0] == void[..., 1]).all()  # gray, whether predicted wrong or not
    assert set(np.unique(void)) == {PALE[0], 60 // 4 + 3 * (PALE[0] // 4)}


def shown(plot):
    figure = plot.figure()
    figure.draw_without_rendering()
    return figure


def titles(plot):
    return [title for axis in shown(plot).axes if (title := axis.get_title())]


def segmenter():
    backbone = Backbone("resnet10t")
    return SegmentationModel(backbone, Linear(backbone.dims, backbone.strides, len(CLASSES)))


def examples():
    generator = torch.Generator().manual_seed(0)
    sizes = [(40, 56), (40, 56), (33, 47)]
    images = [torch.randint(0, 256, (3, *size), generator=generator).byte() for size in sizes]
    return images, [torch.randint(0, 3, size, generator=generator) for size in sizes]


def test_images_of_several_sizes_match_the_model_asked_alone_and_it_stays_as_it_was():
    torch.manual_seed(0)
    model = segmenter()
    model.head.eval()
    modes = [module.training for module in model.modules()]
    random = torch.get_rng_state()
    images, masks = examples()
    finding = Predictions(CLASSES, PALETTE)(model, images, masks)
    assert [module.training for module in model.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in model.parameters())
    model.eval()
    with torch.no_grad():
        for image, scene in zip(images, finding.scenes):
            alone = model(image[None])[0].argmax(0).numpy()
            assert (alone == scene.masks["prediction"]).mean() > 0.999
            assert (scene.image == image.permute(1, 2, 0).numpy()).all()
    right = sum(int((s.masks["prediction"] == s.masks["truth"]).sum()) for s in finding.scenes)
    assert finding.numbers["pixel_accuracy"] == pytest.approx(right / sum(mask.numel() for mask in masks))
    assert titles(finding.figures["predictions"]) == ["image", "prediction", "truth", "errors", "confidence"]


def test_without_truth():
    images, _ = examples()
    finding = Predictions(CLASSES, PALETTE)(segmenter(), images)
    assert titles(finding.figures["predictions"]) == ["image", "prediction", "confidence"]
    assert 1 / 3 <= finding.numbers["mean_confidence"] <= 1
    assert all(math.isnan(finding.numbers[name]) for name in ("mean_iou", "pixel_accuracy", "calibration_gap"))
    assert [set(scene.masks) for scene in finding.scenes] == [{"prediction"}] * 3


def test_truth_for_some_images_only():
    images, masks = examples()
    finding = Predictions(CLASSES, PALETTE)(segmenter(), images, [None, masks[1], None])
    assert [set(scene.masks) for scene in finding.scenes] == [{"prediction"}, {"prediction", "truth"}, {"prediction"}]
    pictures = [bool(axis.images) for axis in shown(finding.figures["predictions"]).axes[:15]]
    assert pictures == [True, True, False, False, True, *[True] * 5, True, True, False, False, True]


def test_all_void_says_nothing():
    image, mask = torch.zeros(3, 1, 2), torch.full((1, 2), VOID)
    finding = Predictions(CLASSES, PALETTE)(Fixed(torch.full((3, 1, 2), 1 / 3)), [image], [mask])
    assert math.isnan(finding.numbers["pixel_accuracy"])
    assert math.isnan(finding.numbers["calibration_gap"])
    shown(finding.figures["predictions"])


def test_predict_makes_the_probabilities():
    image = torch.zeros(3, 2, 2, dtype=torch.uint8)
    sure = torch.tensor([0.0, 0.25, 0.75])[None, :, None, None].expand(1, 3, 2, 2)
    finding = Predictions(CLASSES, PALETTE, predict=lambda model, images: sure)(Fixed(torch.ones(3, 2, 2)), [image])
    assert finding.numbers["mean_confidence"] == 0.75
    assert (finding.scenes[0].masks["prediction"] == 2).all()


def test_the_legend_names_only_what_occurs():
    truth = torch.tensor([[0, 0, 0, VOID]])
    probabilities = torch.tensor([[0.8, 0.1, 0.1]]).T[..., None].expand(3, 1, 4)
    image = torch.zeros(3, 1, 4)
    finding = Predictions(CLASSES, PALETTE)(Fixed(probabilities.flip(0)), [image], [truth])
    (legend,) = shown(finding.figures["predictions"]).legends
    assert [text.get_text() for text in legend.get_texts()] == ["dog", "errors: wrong", "errors: void"]


def test_compare_puts_each_models_prediction_beside_the_truth():
    image, truth = torch.full((3, 1, 4), 100, dtype=torch.uint8), torch.tensor([[0, 1, 1, 2]])
    right = nn.functional.one_hot(truth, 3).permute(2, 0, 1).float().clamp(0.1, 0.8)
    findings = {
        name: Predictions(CLASSES, PALETTE)(Fixed(probabilities), [image], [truth])
        for name, probabilities in {"good": right, "bad": right.flip(0)}.items()
    }
    plot = compare(findings, PALETTE)
    assert titles(plot) == ["image", "good", "bad", "truth"]
    axes = shown(plot).axes
    pictures = [np.asarray(axis.images[0].get_array()) for axis in axes[:4]]
    over = overlay(np.full((1, 4, 3), 100, np.uint8), truth.numpy().astype(np.uint8), PALETTE, 0.5)
    assert (pictures[1] == over).all()
    assert (pictures[3] == over).all()
    assert (pictures[2] != over).any()
    assert [axis.get_xlabel() for axis in axes[:4]] == ["", "mean IoU 100.0%", "mean IoU 33.3%", ""]


def test_models_of_other_classes_are_not_put_under_one_legend():
    image = torch.zeros(3, 2, 2)
    few = Predictions(CLASSES[:2], PALETTE[:2])(Fixed(torch.ones(2, 2, 2)), [image])
    many = Predictions(CLASSES, PALETTE)(Fixed(torch.ones(3, 2, 2)), [image])
    assert set(together({"few": few, "few too": few}, PALETTE[:2])) == {"predictions", "compared"}
    assert set(together({"few": few, "many": many}, PALETTE[:2])) == {"predictions"}


def test_compare_needs_the_same_images():
    probe, model = Predictions(CLASSES, PALETTE), Fixed(torch.full((3, 2, 2), 1 / 3))
    findings = {name: probe(model, [torch.full((3, 2, 2), value)]) for name, value in (("a", 0.0), ("b", 1.0))}
    with pytest.raises(UserError, match="different images"):
        compare(findings, PALETTE)


@pytest.mark.parametrize(
    ("classes", "masks", "message"),
    [
        (("a", "b"), None, "palette: has 3 colors for 2 classes"),
        (CLASSES, [], "masks: 0 for 1 images"),
        (CLASSES, [torch.zeros(2, 3)], "masks: number 0 has 3 x 2 pixels, but its image 2 x 2"),
        (CLASSES, [torch.full((2, 2), 7)], "class id 7"),
    ],
)
def test_what_does_not_fit(classes, masks, message):
    with pytest.raises(UserError, match=message):
        Predictions(classes, PALETTE)(Fixed(torch.ones(3, 2, 2)), [torch.zeros(3, 2, 2)], masks)


def test_a_model_of_other_classes():
    with pytest.raises(UserError, match="predicts 4 classes, but 3 are named"):
        Predictions(CLASSES, PALETTE)(Fixed(torch.ones(4, 2, 2)), [torch.zeros(3, 2, 2)])
