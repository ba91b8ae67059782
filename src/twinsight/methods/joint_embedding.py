"""What methods share that compare projections of an image's views."""

from torch import Tensor, nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView


class JointEmbedding(nn.Module):
    """A backbone and a projector, trained together, without a teacher; a subclass adds the loss.

    backbone: becomes `trunk`, which is kept after training.
    views: makes the views of an image.
    projector: (B, backbone.dim) -> (B, D), what the loss compares.
    """

    def __init__(self, backbone: Backbone, views: MultiView, projector: nn.Sequential):
        super().__init__()
        self.trunk = backbone
        self.projector = projector
        self._views = views

    def views(self) -> MultiView:
        """The transform that makes the views of an image."""
        return self._views

    def project(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, D), the projections that the loss compares."""
        return self.projector(self.trunk(images))
