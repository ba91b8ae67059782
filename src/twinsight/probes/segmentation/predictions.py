"""What a segmenter sees in images: its classes, its errors and its confidence."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import cv2
import numpy as np
import torch
from matplotlib.colors import to_rgb
from torch import Tensor

from twinsight.data.samples import VOID
from twinsight.errors import UserError
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.draw import COLORS, Plot, overlay
from twinsight.probes.finding import Finding, Scene
from twinsight.probes.grids import Cell, Scale, class_legend, drawn_of, heat, image_grid, pick
from twinsight.probes.images import batches, pixels
from twinsight.probes.probe import Subject, inspecting
from twinsight.segmentation.metrics import ConfusionMatrix, Scores

WRONG = (255 * np.array(to_rgb(COLORS[1]))).round().astype(np.uint8)
PALE = np.full(3, 225, np.uint8)

OPACITY = 0.5
"""Opacity of the class colors, at which the photo stays visible."""

Predict = Callable[[Any, Tensor], Tensor]
"""(model, images (B, 3, H, W)) -> probabilities (B, C, H, W)."""


class Predictions:
    """Predictions next to the truth, their errors, and the model's confidence.

    classes, palette: names, and (C, 3) uint8 colors. predict: returns probabilities, e.g. an `Inference`; by default
    the softmax of the model's logits.

    Figure "predictions"; `scenes` with masks "prediction" and, where there is one, "truth". Numbers, over the pixels
    of all images: "mean_confidence", the mean highest probability; of labeled pixels "mean_iou", "pixel_accuracy" and
    "calibration_gap", their mean confidence minus their accuracy, above 0 for an overconfident model; NaN without
    truth. Raises UserError if the classes or masks do not match.
    """

    subject: ClassVar[Subject] = "segmenter"
    caption: ClassVar = CAPTIONS["predictions"]

    def __init__(self, classes: Sequence[str], palette: np.ndarray, predict: Predict | None = None):
        if len(classes) != len(palette):
            raise UserError(f"palette: has {len(palette)} colors for {len(classes)} classes; give one per class")
        self.classes, self.palette, self.predict = tuple(classes), palette, predict or softmax

    @torch.inference_mode()
    def __call__(self, model: Any, images: Sequence[Tensor], masks: Sequence[Tensor | None] | None = None) -> Finding:
        truths = [None] * len(images) if masks is None else list(masks)
        check(images, truths)
        scenes: list[Scene] = []
        confidences: list[np.ndarray] = []
        sure: list[Tensor] = []
        confusion = ConfusionMatrix(len(self.classes))
        with inspecting(model) as device:
            for batch in batches(images, device, size=4):
                probabilities = self.predict(model, batch)
                if probabilities.shape[1] != len(self.classes):
                    given = f"predicts {probabilities.shape[1]} classes, but {len(self.classes)} are named"
                    raise UserError(f"model: {given}; use the data set that it was trained on")
                for confidence, prediction in zip(*(part.cpu() for part in probabilities.float().max(1))):
                    image, truth = images[len(scenes)], truths[len(scenes)]
                    shown = {"prediction": prediction.numpy().astype(np.uint8)}
                    if truth is not None:
                        truth = truth.cpu()
                        confusion.update(prediction[None], truth[None])
                        sure.append(confidence[truth != VOID])
                        shown["truth"] = truth.numpy().astype(np.uint8)
                    confidences.append(confidence.numpy())
                    scenes.append(Scene(pixels(image), shown, self.classes))
        scores = Scores(confusion.matrix).scalars()  # not compute(), which would wait for other processes
        mean_sure = torch.cat(sure).double().mean().item() if sure else np.nan
        numbers = {
            "mean_iou": scores["mean_iou"],
            "pixel_accuracy": scores["pixel_accuracy"],
            "mean_confidence": float(np.concatenate([c.ravel() for c in confidences]).mean(dtype=np.float64)),
            "calibration_gap": mean_sure - scores["pixel_accuracy"],
        }
        return Finding(
            {"predictions": grid(scenes, confidences, self.palette)}, numbers, scenes=scenes, names=self.caption.names
        )


def softmax(model: Any, images: Tensor) -> Tensor:
    return model(images).float().softmax(1)


def check(images: Sequence[Tensor], truths: Sequence[Tensor | None]) -> None:
    if not len(images):
        raise UserError("images: none given; give at least 1")
    if len(truths) != len(images):
        raise UserError(f"masks: {len(truths)} for {len(images)} images; give one per image, or None")
    for i, (image, truth) in enumerate(zip(images, truths)):
        if truth is not None and truth.shape != image.shape[1:]:
            sizes = " but ".join(f"{size[1]} x {size[0]}" for size in (truth.shape, image.shape[1:]))
            raise UserError(
                f"masks: number {i} has {sizes.replace('but', 'pixels, but its image')}; make them the same size"
            )


def grid(scenes: Sequence[Scene], confidences: Sequence[np.ndarray], palette: np.ndarray) -> Plot:
    """A row per image: the image, its prediction, the truth and the errors if any image has one, and the confidence."""
    labeled = any("truth" in scene.masks for scene in scenes)
    least = 1 / len(palette)
    rows: list[list[Cell | None]] = []
    chosen = pick(len(scenes))
    count, scenes = len(scenes), [scenes[i] for i in chosen]
    for (image, masks, _), confidence in zip(scenes, (confidences[i] for i in chosen)):
        row: list[Cell | None] = [Cell(image), Cell(overlay(image, masks["prediction"], palette, OPACITY))]
        if labeled:
            row += truth_cells(image, masks, palette) if "truth" in masks else [None, None]
        painted = heat(confidence, "cividis", least, 1)
        rows.append([*row, Cell(painted, caption=f"mean {confidence.mean():.0%}")])
    titles = ["image", "prediction", *(["truth", "errors"] if labeled else []), "confidence"]
    legend = occurring(scenes, palette)
    if labeled:
        legend |= {"errors: wrong": WRONG, "errors: void": PALE}
    scale = Scale("cividis", 100 * least, 100, "confidence: probability of the predicted class, %")
    return image_grid(rows, titles, legend=legend, scale=scale, note=drawn_of(len(chosen), count))


def truth_cells(image: np.ndarray, masks: Mapping[str, np.ndarray], palette: np.ndarray) -> list[Cell | None]:
    prediction, truth = masks["prediction"], masks["truth"]
    counted = truth != VOID
    wrong = 100 * np.mean(prediction[counted] != truth[counted]) if counted.any() else np.nan
    marked = errors(image, prediction, truth)
    return [Cell(overlay(image, truth, palette, OPACITY)), Cell(marked, caption=f"{wrong:.1f}% of pixels wrong")]


def errors(image: np.ndarray, prediction: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8: the image in gray, wrong pixels orange-red, void striped in pale gray."""
    gray = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    wrong = np.where(prediction != truth, np.uint8(1), np.uint8(VOID))
    marked = overlay(gray, wrong, np.array([PALE, WRONG]), 0.8)
    void = np.equal(truth, VOID)[..., None]
    y, x = np.indices(truth.shape)
    period = max(2, truth.shape[1] // 40)
    stripes = np.less((x + y) % period, period / 2)[..., None]
    return np.where(void, np.where(stripes, PALE, gray // 4 + 3 * (PALE // 4)), marked)


def occurring(scenes: Sequence[Scene], palette: np.ndarray) -> dict[str, np.ndarray]:
    """Legend of the classes in any mask."""
    labels = {int(label) for scene in scenes for mask in scene.masks.values() for label in np.unique(mask)}
    return class_legend(sorted(labels - {VOID}), scenes[0].classes, palette)


def compare(findings: Mapping[str, Finding], palette: np.ndarray) -> Plot:
    """Several models on the same images: the image, the prediction of each with its mean IoU, the truth where known.

    findings: from `Predictions`, by model name. Raises UserError if their images differ.
    """
    everything = [finding.scenes for finding in findings.values()]
    alike = [[scene.image.tobytes() for scene in scenes] for scenes in everything]
    if not everything or any(images != alike[0] for images in alike):
        raise UserError("findings: are of different images; run every model on the same ones")
    labeled = any("truth" in scene.masks for scene in everything[0])
    rows: list[list[Cell | None]] = []
    chosen = pick(len(everything[0]))
    count, everything = len(everything[0]), [[scenes[i] for i in chosen] for scenes in everything]
    for scenes in zip(*everything):
        image, masks, _ = scenes[0]
        truth = masks.get("truth")
        predicted = [Cell(overlay(image, s.masks["prediction"], palette, OPACITY), caption=score(s)) for s in scenes]
        rows.append([Cell(image), *predicted])
        if labeled:
            rows[-1].append(None if truth is None else Cell(overlay(image, truth, palette, OPACITY)))
    titles = ["image", *findings, *(["truth"] if labeled else [])]
    legend = occurring([s for scenes in everything for s in scenes], palette)
    return image_grid(rows, titles, legend=legend, side=1.8, note=drawn_of(len(chosen), count))


def score(scene: Scene) -> str:
    """The mean IoU on this image, as text; empty without truth."""
    if "truth" not in scene.masks:
        return ""
    confusion = ConfusionMatrix(len(scene.classes))
    confusion.update(torch.from_numpy(scene.masks["prediction"]), torch.from_numpy(scene.masks["truth"]))
    return f"mean IoU {Scores(confusion.matrix).scalars()['mean_iou']:.1%}"
