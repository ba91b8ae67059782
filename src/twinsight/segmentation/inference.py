"""Class probabilities of whole images: in one pass or by sliding windows, averaged over scales and flips."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from twinsight.errors import UserError
from twinsight.segmentation.metrics import best_class

Segmenter = Callable[[Tensor], Tensor]
"""Images (B, 3, H, W) -> logits (B, classes, H, W)."""


@dataclass(frozen=True)
class Inference:
    """How a segmenter predicts whole images.

    window: side of square windows in pixels, None for the whole image; overlap: fraction by which neighboring windows
    overlap.
    scales: relative image sizes to average over; flip: also average with the mirrored image.
    Raises UserError for values out of range.
    """

    window: int | None = None
    overlap: float = 0.5
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False

    def __post_init__(self):
        if self.window is not None and self.window < 1:
            raise UserError(
                f"--window {self.window}: is too small; give at least 1 pixel, or leave it out for whole images"
            )
        if not 0 <= self.overlap <= 0.9:
            raise UserError(f"--overlap {self.overlap}: is out of range; give 0 to 0.9")
        if not self.scales or min(self.scales) <= 0:
            raise UserError(
                "--scales: sizes must be above 0, and there must be at least one; give 1 for the image's own size"
            )

    @torch.inference_mode()
    def __call__(self, model: Segmenter, images: Tensor) -> Tensor:
        """Probabilities (B, classes, H, W) float32."""
        size = images.shape[-2:]
        total: Tensor | float = 0.0
        for scale in self.scales:
            scaled = images if scale == 1 else resize(images, [max(1, round(side * scale)) for side in size])
            for mirrored in (False, True)[: 1 + self.flip]:
                probabilities = self.windows(model, scaled.flip(-1) if mirrored else scaled)
                total = total + resize(probabilities.flip(-1) if mirrored else probabilities, size)
        assert isinstance(total, Tensor)
        return total / (len(self.scales) * (1 + self.flip))

    @torch.inference_mode()
    def scores(self, model: Segmenter, images: Tensor) -> Tensor:
        """Scores (B, classes, H, W) whose argmax is a pixel's class: logits suffice where nothing is averaged."""
        return self(model, images) if self.averages else model(images)

    @property
    def averages(self) -> bool:
        """Whether a pixel's scores are a mean over windows, scales or flips, and so probabilities."""
        return self.window is not None or self.scales != (1.0,) or self.flip

    @torch.inference_mode()
    def classes(self, model: Segmenter, images: Tensor) -> Tensor:
        """The class of each pixel, (B, H, W) uint8; large images are processed a few at a time to bound memory."""
        few = images.split(at_once(images[0, 0].numel(), images.device))
        return torch.cat([best_class(self.scores(model, part)) for part in few])

    def windows(self, model: Segmenter, images: Tensor) -> Tensor:
        """Probabilities at the image's own scale, averaged where windows overlap."""
        height, width = images.shape[-2:]
        if self.window is None or self.window >= max(height, width):
            return model(images).float().softmax(1)
        places = [
            (..., slice(*rows), slice(*columns))
            for rows in spans(height, self.window, self.overlap)
            for columns in spans(width, self.window, self.overlap)
        ]
        step = at_once(images[places[0]][:, 0].numel(), images.device)
        total: Tensor | None = None
        count = torch.zeros(1, 1, height, width, device=images.device)
        for i in range(0, len(places), step):
            some = places[i : i + step]
            parts = model(torch.cat([images[place] for place in some])).float().softmax(1)
            if total is None:
                total = parts.new_zeros(len(images), parts.shape[1], height, width)
            for place, part in zip(some, parts.split(len(images))):
                total[place] += part
                count[place] += 1
        assert total is not None
        return total / count


def at_once(pixels: int, device: torch.device) -> int:
    """The batch size for images of `pixels` pixels; a larger one would not be faster."""
    return max(1, (2**19 if device.type == "cpu" else 2**22) // pixels)


def spans(length: int, window: int, overlap: float) -> Iterator[tuple[int, int]]:
    """Starts and ends of evenly spaced windows that cover a side, overlapping by at least `overlap`."""
    window = min(window, length)
    stride = max(1, int(window * (1 - overlap)))
    count = -(-(length - window) // stride) + 1
    for i in range(count):
        start = (length - window) * i // max(1, count - 1)
        yield start, start + window


def resize(images: Tensor, size: torch.Size | list[int]) -> Tensor:
    """Bilinear with antialiasing; uint8 becomes float in [0, 1]. Images of that size are returned as they are."""
    if list(images.shape[-2:]) == list(size):
        return images
    pixels = images.float() / 255 if images.dtype == torch.uint8 else images
    return F.interpolate(pixels, list(size), mode="bilinear", antialias=True, align_corners=False)
