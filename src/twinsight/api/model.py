"""A network to use from Python: embeddings, feature maps and attention; from a segmenter, predictions."""

from collections.abc import Callable, Collection, Iterator
from os import PathLike
from pathlib import Path
from typing import Any, Literal, Unpack, overload

import numpy as np
import torch
from torch import Tensor

from twinsight.api.batches import Predicting, each, together
from twinsight.api.calls import public, takes
from twinsight.api.dataset import Dataset
from twinsight.api.inputs import ImageLike, Images, take
from twinsight.api.keywords import PredictKeywords
from twinsight.api.prediction import Prediction
from twinsight.assemble.data import make_inference
from twinsight.assemble.open import Opened, segmenting_precision
from twinsight.assemble.predicting import Predictor
from twinsight.backbones.attention_maps import attention_maps
from twinsight.device import Device
from twinsight.errors import UserError
from twinsight.options.commands import Evaluate, Predict
from twinsight.options.parse import from_keywords
from twinsight.segmentation.model import SegmentationModel


class Model:
    """A network that `twinsight.load` has opened.

    Every method takes images as a path, a Pillow image, an array (H, W, 3), (H, W, 1) or (H, W), a tensor (3, H, W) or
    (1, H, W), a batch (B, 3, H, W) or (B, H, W, 3), a list of these, a folder, a `Dataset`, or an iterator. Colors are
    RGB; values uint8, or floats in [0, 1], not normalized: the network normalizes them itself. A list may hold images
    of different sizes. From an iterator comes an iterator, in its order, which holds no more than a batch in memory.

    Attributes:
        name: what it was opened as.
        backbone: the `torch.nn.Module` that turns images into features, to build upon; `backbone.network` is timm's.
        module: the whole network: a segmenter with its head, else the backbone.
        run: the folder of its run, if it is from one.
        classes: the names of a segmenter's classes; empty for a backbone.
        palette: (C, 3) uint8, their colors; None for a backbone.
        dim: the width of its embeddings.
        device: where it computes.
    """

    def __init__(self, opened: Opened, device: Device, spec: str):
        self.opened = opened
        self.spec = spec
        self.name = opened.name
        self.backbone: Any = opened.subjects["backbone"]
        self.module: Any = opened.subjects["network"]
        self.run = opened.run
        self.classes = opened.classes
        self.palette: np.ndarray | None = opened.palette
        self.dim = self.backbone.dim
        self._device = device

    @property
    def device(self) -> torch.device:
        return self._device.torch

    def __repr__(self) -> str:
        what = f"segmenter of {len(self.classes)} classes on " if self.classes else ""
        return f"<twinsight.Model {self.name}: {what}{self.backbone.name}, {self.dim} dimensions, on {self.device}>"

    @overload
    def embed(
        self, images: Iterator[ImageLike], *, size: int | None = 224, batch_size: int = 16
    ) -> Iterator[Tensor]: ...
    @overload
    def embed(self, images: Images, *, size: int | None = 224, batch_size: int = 16) -> Tensor: ...
    @public()
    def embed(self, images: Any, *, size: int | None = 224, batch_size: int = 16) -> Any:
        """One vector for each image.

        Args:
            images: see `Model`; of any sizes.
            size: images whose shorter side has more pixels are shrunk to it, as `twinsight look` does for embeddings;
                None leaves all as they are.
            batch_size: images of one size that go through the network at once.

        Returns:
            (N, dim) float32 on the CPU, not normalized; for an iterator, an iterator of (dim,).

        Example:
            >>> model = twinsight.load("random:test_resnet", device="cpu")
            >>> model.embed([np.zeros((32, 32, 3), np.uint8), np.zeros((40, 64, 3), np.uint8)]).shape
            torch.Size([2, 96])
        """
        return self._computed(images, size, batch_size, lambda batch: self.backbone(batch))

    @overload
    def features(
        self, images: Iterator[ImageLike], *, level: int = -1, size: int | None = 480, batch_size: int = 16
    ) -> Iterator[Tensor]: ...
    @overload
    def features(self, images: Images, *, level: int = -1, size: int | None = 480, batch_size: int = 16) -> Tensor: ...
    @public()
    def features(self, images: Any, *, level: int = -1, size: int | None = 480, batch_size: int = 16) -> Any:
        """A map of features for each image.

        Args:
            images: see `Model`. All must have one size, unless they come from an iterator.
            level: a stage of a convolutional network or Swin, a block of a ViT; negative ones count from the deepest.
            size: as for `embed`.
            batch_size: as for `embed`.

        Returns:
            (N, C, h, w) float32 on the CPU; for an iterator, an iterator of (C, h, w). A ViT's have passed its final
            norm. Sides that are not multiples of the patch size are padded on the right and below.

        Example:
            >>> model.features(np.zeros((64, 96, 3), np.uint8)).shape
            torch.Size([1, 96, 2, 3])
        """
        return self._computed(images, size, batch_size, lambda batch: self.backbone.features(batch, (level,)).maps[0])

    @overload
    def attention(
        self,
        images: Iterator[ImageLike],
        block: int = -1,
        *,
        query: Literal["auto", "class", "mean"] = "auto",
        at: tuple[float, float] | None = None,
        size: int | None = 480,
        batch_size: int = 16,
    ) -> Iterator[Tensor]: ...
    @overload
    def attention(
        self,
        images: Images,
        block: int = -1,
        *,
        query: Literal["auto", "class", "mean"] = "auto",
        at: tuple[float, float] | None = None,
        size: int | None = 480,
        batch_size: int = 16,
    ) -> Tensor: ...
    @public()
    def attention(
        self,
        images: Any,
        block: int = -1,
        *,
        query: Literal["auto", "class", "mean"] = "auto",
        at: tuple[float, float] | None = None,
        size: int | None = 480,
        batch_size: int = 16,
    ) -> Any:
        """Where each attention head looks.

        Args:
            images: see `Model`. All must have one size, unless they come from an iterator.
            block: counted from 0; negative ones from the last.
            query: who looks: the class token, or the mean over all patches; auto: the class token where there is one.
            at: (x, y), fractions of the image's width and height: the patch there looks instead.
            size: as for `embed`.
            batch_size: as for `embed`.

        Returns:
            (N, heads, h, w) float32 on the CPU; for an iterator, an iterator of (heads, h, w). A head's map sums to at
            most 1: what is missing looks at the class and register tokens.

        Raises:
            UserError: if the network has no attention that can be laid over the image, as a ResNet.

        Example:
            >>> vit = twinsight.load("random:test_vit", device="cpu")
            >>> vit.attention(np.zeros((160, 160, 3), np.uint8)).shape
            torch.Size([1, 2, 10, 10])
        """
        return self._computed(
            images, size, batch_size, lambda batch: attention_maps(self.backbone, batch, (block,), query, at).maps[0]
        )

    def _computed(self, images: Any, size: int | None, batch_size: int, call: Callable[[Tensor], Tensor]) -> Any:
        given = take(images, **self._reading())
        rows = each(self.backbone, given, size, batch_size, call)
        return rows if given.streamed else together(rows)

    @overload
    def predict(self, images: Iterator[ImageLike], **options: Unpack[PredictKeywords]) -> Iterator[Prediction]: ...
    @overload
    def predict(self, images: np.ndarray | Tensor, **options: Unpack[PredictKeywords]) -> Any: ...
    @overload
    def predict(self, images: ImageLike, **options: Unpack[PredictKeywords]) -> Prediction: ...
    @overload
    def predict(
        self, images: Collection[ImageLike] | Dataset, **options: Unpack[PredictKeywords]
    ) -> list[Prediction]: ...
    @public()
    @takes(PredictKeywords, Predict)
    def predict(self, images: Any, **options: Any) -> Any:
        """The class of each pixel, as `twinsight predict` finds it.

        Args:
            images: see `Model`; but no folder, which `Dataset.open(folder, split="all")` makes a list of images of.

        Returns:
            A `Prediction` for one image; a list of them for a list, a data set or a batch; for an iterator, an
            iterator.

        Raises:
            UserError: for a network that is not a segmenter, and for what is not an image.

        Example:
            >>> segmenter = twinsight.load(folder / "segmenter", device="cpu")
            >>> prediction = segmenter.predict(np.zeros((40, 50, 3), np.uint8), flip=True)
            >>> prediction.mask.shape, prediction.overlay.size
            ((40, 50), (50, 40))
        """
        if not isinstance(self.module, SegmentationModel):
            raise UserError(
                f"{self.name}: is a backbone and predicts no classes; train a segmenter on it with `twinsight segment`"
            )
        if isinstance(images, str | PathLike) and Path(images).is_dir():
            raise UserError(
                f"{images}: is a folder; for predictions of all its images give Dataset.open({str(images)!r}, "
                "split='all'), or iter() of that to have them one by one"
            )
        asked: Predict = from_keywords(Predict, "predict", {**options, "run": self.spec, "images": ()})
        predictor = self.predictor(asked)
        reading = {name: getattr(asked, name) or known for name, known in self._reading().items()}
        given = take(images, **reading)
        predicting = Predicting(predictor, given, asked.batch_size, classes=self.classes, palette=self.palette)
        if given.streamed:
            return predicting.in_order()
        return predicting.all()[0] if given.single else predicting.all()

    def predictor(self, asked: Predict | Evaluate) -> Predictor:
        """The segmenter as these options call it; in the precision of its training unless they say another."""
        precision = segmenting_precision(asked.precision, self.opened.options, self._device)
        return Predictor(self.module, make_inference(asked), self._device, precision)

    def _reading(self) -> dict[str, Any]:
        """As the run that the network is from has read its images."""
        data = getattr(self.opened.options, "data", None)
        return {name: getattr(data, name, None) for name in ("bits", "max_megapixels")}
