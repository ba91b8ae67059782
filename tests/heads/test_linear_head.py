import pytest
import torch

from twinsight.backbones.backbone import Features
from twinsight.errors import UserError
from twinsight.heads.linear import Linear


def features(*maps):
    return Features(torch.zeros(2, 1), list(maps), (32, 32))


def test_is_linear_in_the_features():
    torch.manual_seed(0)
    head = Linear((4, 6), (8, 16), 3, levels=(0, 1)).eval()
    a, b = (features(torch.randn(2, 4, 5, 3), torch.randn(2, 6, 3, 2)) for _ in range(2))
    middle = features(*(0.25 * x + 0.75 * y for x, y in zip(a.maps, b.maps)))
    torch.testing.assert_close(head(middle), 0.25 * head(a) + 0.75 * head(b))


def test_scale_of_the_features_does_not_matter():
    torch.manual_seed(0)
    head, x = Linear((4,), (8,), 3), torch.randn(2, 4, 5, 3)
    torch.testing.assert_close(head(features(x)), head(features(1000 * x + 7)), atol=1e-3, rtol=1e-3)


def test_only_the_classifier_learns():
    assert {name for name, _ in Linear((4, 6), (8, 16), 3).named_parameters()} == {
        "classifier.weight",
        "classifier.bias",
    }


def test_levels_count_from_either_end_and_ascend():
    assert Linear((4, 6, 8), (4, 8, 16), 3).levels == (2,)
    assert Linear((4, 6, 8), (4, 8, 16), 3, levels=(-1, 0)).levels == (0, 2)
    with pytest.raises(UserError, match=r"--head\.levels 3: the backbone has 3 levels"):
        Linear((4, 6, 8), (4, 8, 16), 3, levels=(3,))
