"""Sub-center ArcFace: ArcFace with several centers for each class, for classes of several kinds and wrong labels."""

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView
from twinsight.methods.arcface import ArcFace
from twinsight.methods.metric_learning import MetricLearning, losses


class SubcenterArcFace(ArcFace):
    """Sub-center ArcFace: Boosting Face Recognition by Large-scale Noisy Web Faces (Deng et al., 2020), by
    pytorch-metric-learning.

    backbone: becomes `trunk`, which is kept after training.
    classes: their number.
    margin, scale: see `ArcFace`.
    sub_centers: centers for each class, of which an image is compared with the nearest; 3 in the paper.
    views: one augmented view.
    """

    def __init__(
        self,
        backbone: Backbone,
        classes: int,
        views: MultiView,
        margin: float = 28.6,
        scale: float = 64.0,
        sub_centers: int = 3,
    ):
        MetricLearning.__init__(self, backbone, views)
        self.loss = losses().SubCenterArcFaceLoss(
            num_classes=classes, embedding_size=backbone.dim, margin=margin, scale=scale, sub_centers=sub_centers
        )
