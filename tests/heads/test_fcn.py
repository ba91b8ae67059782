import pytest
import torch

from twinsight.backbones.backbone import Features
from twinsight.errors import UserError
from twinsight.heads.fcn import Fcn


def test_a_quarter_of_the_channels_by_default():
    head = Fcn((64, 128), (8, 16), 5, level=0)
    assert head.levels == (0,)
    assert head.classifier[0].weight.shape == (16, 64, 3, 3)
    x = torch.randn(2, 64, 7, 5)
    assert head(Features(x.mean((2, 3)), [x], (56, 40))).shape == (2, 5, 7, 5)


def test_names_a_level_that_is_not_there():
    with pytest.raises(UserError, match=r"--head\.level -3: the backbone has 2 levels"):
        Fcn((64, 128), (8, 16), 5, level=-3)
