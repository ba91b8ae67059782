import pytest
import torch
from torch import nn
from torchvision.models.segmentation import deeplabv3_resnet50

from twinsight.backbones.backbone import Features
from twinsight.errors import UserError
from twinsight.heads.deeplab import DeepLabV3
from twinsight.heads.fcn import Fcn

DIMS, STRIDES = (64, 256, 512, 1024, 2048), (2, 4, 8, 8, 8)


@pytest.fixture(scope="module")
def reference():
    """torchvision's model, every buffer and parameter random, so that no batch norm is the identity."""
    torch.manual_seed(0)
    model = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=5, aux_loss=True).eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.normal_(norm.weight, 1, 0.2)
            nn.init.normal_(norm.bias, 0, 0.2)
            nn.init.normal_(norm.running_mean, 0, 0.2)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return model


def only(state, prefix):
    return {k.replace(prefix, "classifier.", 1): v for k, v in state.items() if k.startswith(prefix)}


@torch.no_grad()
def test_equals_torchvision_with_its_weights(reference):
    head = DeepLabV3(DIMS, STRIDES, 5).eval()
    head.load_state_dict(only(reference.state_dict(), "classifier."))
    x = torch.randn(2, 2048, 13, 9)
    features = Features(x.mean((2, 3)), [x], (104, 72))
    torch.testing.assert_close(head(features), reference.classifier(x), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_fcn_equals_torchvisions_auxiliary_classifier(reference):
    head = Fcn(DIMS, STRIDES, 5, level=-2).eval()
    head.load_state_dict(only(reference.state_dict(), "aux_classifier."))
    assert head.levels == (3,)
    x = torch.randn(2, 1024, 13, 9)
    features = Features(x.mean((2, 3)), [x], (104, 72))
    torch.testing.assert_close(head(features), reference.aux_classifier(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("stride", "rates"), [(8, [12, 24, 36]), (16, [6, 12, 18]), (32, [6, 12, 18])])
def test_rates_follow_the_stride_as_in_the_paper(stride, rates):
    head = DeepLabV3((8,), (stride,), 5, channels=4)
    assert [m.dilation[0] for m in head.modules() if isinstance(m, nn.Conv2d) and m.dilation[0] > 1] == rates


def test_a_batch_of_one_trains_with_an_error_and_evaluates_without():
    head, x = DeepLabV3((8,), (16,), 5, channels=4), torch.randn(1, 8, 4, 4)
    features = Features(x.mean((2, 3)), [x], (64, 64))
    with pytest.raises(UserError, match="--batch-size 1"):
        head(features)
    assert head.eval()(features).shape == (1, 5, 4, 4)
