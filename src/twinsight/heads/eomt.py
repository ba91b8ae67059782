"""EoMT (Kerssies et al., "Your ViT is Secretly an Image Segmentation Model", CVPR 2025)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from twinsight.backbones.last_blocks import LastBlocks
from twinsight.backbones.light_timm import LayerNorm2d
from twinsight.heads.set_loss import Predicted, find_objects, set_loss
from twinsight.layers import at_least_float32, shapes_only


class ScaleBlock(nn.Sequential):
    """Doubles a map: transposed 2x2 convolution, GELU, depthwise 3x3 convolution, layer norm."""

    def __init__(self, dim: int):
        super().__init__(
            nn.ConvTranspose2d(dim, dim, 2, stride=2),
            nn.GELU(),
            nn.Conv2d(dim, dim, 3, padding=1, groups=dim, bias=False),
            LayerNorm2d(dim),
        )


class Eomt(nn.Module):
    """Learned queries join the tokens of the last blocks; each says a class, or "no object", and a mask.

    A mask is the product of the query, after an MLP, with the upscaled patches. In training, classes and masks are
    predicted before each of these blocks too, where the loss applies as well, and a query looks only at the patches in
    its mask (masked attention). This is undone block by block over the run, query by query at random; a finished
    network is a plain ViT with a few more tokens. In eval mode, a block masks while it did so for most queries in
    training.

    queries: number of queries, at least as many as an image has classes. blocks: how many of the last blocks they join;
    None: the authors', 3 for a network of up to 12 blocks, else 4. points: at which the loss compares masks.
    """

    probabilities: Tensor

    def __init__(
        self,
        dims: tuple[int, ...],
        strides: tuple[int, ...],
        num_classes: int,
        queries: int = 100,
        blocks: int | None = None,
        points: int = 12544,
    ):
        super().__init__()
        dim = dims[-1]
        self.num_classes = num_classes
        self.points = points
        self.last_blocks = blocks or (3 if len(dims) <= 12 else 4)
        self.queries = nn.Parameter(torch.randn(queries, dim))
        self.classifier = nn.Linear(dim, num_classes + 1)
        self.mask = nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim))
        doublings = max(1, int(math.log2(strides[-1])) - 2)
        self.upscale = nn.Sequential(*(ScaleBlock(dim) for _ in range(doublings)))
        self.register_buffer("probabilities", torch.ones(self.last_blocks))

    def no_weight_decay(self) -> set[str]:
        return {"queries"}

    def forward(self, last: LastBlocks) -> list[Predicted]:
        """What the queries say after the last block; in training, also before each of its blocks, in that order."""
        tokens = torch.cat([last.tokens, self.queries.expand(len(last.tokens), -1, -1)], dim=1)
        # The estimate of a step's cost knows no values: it takes the masks of the beginning.
        masking = [1.0] * self.last_blocks if shapes_only(tokens) else self.probabilities.tolist()
        predicted: list[Predicted] = []
        for block, probability in zip(last.blocks, masking, strict=True):
            mask = None
            if self.training or probability > 0.5:
                predicted.append(self.predict(tokens, last))
                if probability:
                    mask = self.attention_mask(predicted[-1].masks, last, probability)
            tokens = block(tokens, mask)
        return [*predicted, self.predict(tokens, last)]

    def predict(self, tokens: Tensor, last: LastBlocks) -> Predicted:
        tokens = last.norm(tokens)
        queries = tokens[:, -len(self.queries) :]
        patches = tokens[:, last.prefix : -len(self.queries)].transpose(1, 2).unflatten(2, last.grid)
        masks = torch.einsum("bqc,bchw->bqhw", self.mask(queries), self.upscale(patches))
        return Predicted(self.classifier(queries), masks)

    @torch.no_grad()
    def attention_mask(self, masks: Tensor, last: LastBlocks, probability: float) -> Tensor:
        """(B, 1, T, T) bool: False from a query to the patches outside its mask."""
        batch, queries = masks.shape[:2]
        inside = F.interpolate(masks, last.grid, mode="bilinear", align_corners=False).flatten(2) > 0
        if self.training and probability < 1:
            inside |= torch.rand(batch, queries, 1, device=masks.device) > probability
        count = last.tokens.shape[1] + queries
        looks = torch.ones(batch, 1, count, count, dtype=torch.bool, device=masks.device)
        looks[:, 0, -queries:, last.prefix : -queries] = inside
        return looks

    def logits(self, predicted: list[Predicted]) -> Tensor:
        """(B, num_classes, h, w): the logarithm of the sum over queries of class probability times mask."""
        classes, masks = map(at_least_float32, predicted[-1])
        scores = torch.einsum("bqc,bqhw->bchw", classes.softmax(2)[..., :-1], masks.sigmoid())
        return scores.clamp_min(1e-8).log()

    def loss(self, predicted: list[Predicted], masks: Tensor) -> Tensor:
        """The sum of the losses of all predictions; masks: (B, H, W) labels, 255 = void."""
        objects = find_objects(masks, self.num_classes, predicted[-1].masks.dtype)
        return torch.stack([set_loss(each, objects, self.points) for each in predicted]).sum()

    def after_step(self, progress: float) -> None:
        """Sets how probably each block masks a query, as the authors do: from 1/6 of the run at the first block, and
        from 2/3 at the last, the probability falls to 0 within 1/6 of the run.
        """
        for k in range(self.last_blocks):
            begin = 1 / 6 + k / (2 * max(1, self.last_blocks - 1))
            self.probabilities[k] = (1 - min(1.0, max(0.0, 6 * (progress - begin)))) ** 0.9
