"""Prediction with a segmenter: masks of images, and their files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from twinsight.assemble.data import make_inference
from twinsight.assemble.open import load_segmenter, segmenting_precision
from twinsight.data.masks import write_mask
from twinsight.device import Device
from twinsight.files import whole
from twinsight.options.commands import Evaluate, Predict
from twinsight.probes.draw import overlay
from twinsight.segmentation.inference import Inference, at_once
from twinsight.segmentation.metrics import best_class
from twinsight.segmentation.model import SegmentationModel


@dataclass(frozen=True)
class Predictor:
    """A segmenter, its inference options, device and precision."""

    model: SegmentationModel
    inference: Inference
    device: Device
    precision: str

    @classmethod
    def open(cls, options: Predict | Evaluate) -> "Predictor":
        """The segmenter of the run that the options name."""
        device = Device(options.accelerator)
        model, trained = load_segmenter(options.run, options.checkpoint, device.torch)
        precision = segmenting_precision(options.precision, trained, device)
        return cls(model, make_inference(options), device, precision)

    def masks(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) images, uint8 or float in [0, 1] -> (B, H, W) uint8 classes, on the device."""
        with self.device.autocast(self.precision):
            return best_class(self.inference.scores(self.model, images.to(self.device.torch)))

    @torch.inference_mode()
    def masks_and_confidence(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The same masks, and (B, H, W) float32, the probability of each pixel's class, both on the CPU."""
        with self.device.autocast(self.precision):
            scores = self.inference.scores(self.model, images.to(self.device.torch))
        probabilities = scores if self.inference.averages else scores.float().softmax(1)
        return best_class(scores).cpu(), probabilities.amax(1).float().cpu()

    def at_once(self, pixels: int) -> int:
        """The batch size for images of `pixels` pixels."""
        return at_once(pixels, self.device.torch)


def write_prediction(
    folder: Path, name: str, mask: np.ndarray, palette: np.ndarray, image: np.ndarray | None, opacity: float = 0.6
) -> None:
    """Write FOLDER/NAME.png, the mask (H, W) in its palette; with the image (H, W, 3), FOLDER/NAME.overlay.jpg too."""
    target = folder / f"{name}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    with whole(target) as stream:
        write_mask(stream, mask, palette)
    if image is not None:
        with whole(folder / f"{name}.overlay.jpg") as stream:
            Image.fromarray(overlay(image, mask, palette, opacity)).save(stream, format="JPEG")
