import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from twinsight.commands import pretrain
from twinsight.data.class_folder import ClassFolder
from twinsight.data.loader import Views, train_loader
from twinsight.data.views import one_view
from twinsight.errors import UserError
from twinsight.methods.method import check_method
from twinsight.methods.supervised import Supervised
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import ClassFolderOptions, FolderOptions
from twinsight.options.methods.supervised import SupervisedOptions
from twinsight.options.methods.views import OneViewOptions
from twinsight.options.parse import parse
from twinsight.runs.rows import read_rows
from twinsight.training.exact import LargeBatches

SMOOTHING = 0.1


class Trunk(nn.Module):
    """Gives the images' first numbers."""

    dim = 5

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(48, self.dim))

    def forward(self, images):
        return self.layers(images)


def reference(logits, labels):
    """An image and a class at a time, in float64."""
    total = 0.0
    for row, label in zip(logits, labels):
        log_p = row - np.log(np.exp(row - row.max()).sum()) - row.max()
        for k in range(len(row)):
            target = (1 - SMOOTHING) * (k == label) + SMOOTHING / len(row)
            total -= target * log_p[k]
    return total / len(logits)


def test_loss_gradient_and_accuracy_equal_the_reference():
    torch.manual_seed(0)
    method = Supervised(Trunk(), 7, None, SMOOTHING).double()
    images, labels = torch.rand(6, 3, 4, 4, dtype=torch.float64), torch.tensor([0, 3, 6, 1, 1, 2])
    out = method([images], progress=0.0, labels=labels)
    out["loss"].backward()
    with torch.no_grad():
        logits = method.classifier(method.trunk(images)).numpy()
    np.testing.assert_allclose(out["loss"].item(), reference(logits, labels.numpy()), rtol=1e-12)
    assert out["accuracy"].item() == (logits.argmax(1) == labels.numpy()).mean()
    for k in range(7):  # the bias moves the logits of its class
        step = 1e-6 * (np.arange(7) == k)
        slope = (reference(logits + step, labels.numpy()) - reference(logits - step, labels.numpy())) / 2e-6
        np.testing.assert_allclose(method.classifier.bias.grad[k].item(), slope, rtol=1e-6, atol=1e-9)


def test_float32_under_autocast():
    method = Supervised(Trunk(), 3, None)
    with torch.autocast("cpu", torch.bfloat16):
        out = method([torch.rand(4, 3, 4, 4)], progress=0.0, labels=torch.tensor([0, 1, 2, 0]))
    assert all(value.dtype == torch.float32 for value in out.values())


@pytest.fixture
def animals(tmp_path):
    """Cats are red, dogs are blue."""
    rng = np.random.default_rng(0)
    for i in range(24):
        file = tmp_path / f"animals/{('cat', 'dog')[i % 2]}/{i}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        image = rng.integers(0, 60, (20, 24, 3), np.uint8)
        image[..., 2 * (i % 2)] += 150
        Image.fromarray(image).save(file)
    return tmp_path / "animals"


def test_batches_carry_labels_also_where_several_are_joined(animals):
    data = ClassFolder(animals, "all")
    loader = train_loader(Views(data, one_view(size=16)), 4, 0)
    for large in LargeBatches(loader, 2):
        assert large.labels.tolist() == [data.targets[index] for index in large.indices]
        assert len(large.labels) == 8


def options(run, data, **changes):
    given = {"epochs": 6, "batch_size": 6, "workers": 0, "log_every": 1, "probe": "none", "precision": "fp32"}
    given |= {"lr": 0.1, "method": SupervisedOptions(views=OneViewOptions(size=32))}
    return Pretrain(run=run, data=data, backbone=TimmOptions(name="test_resnet"), **given | changes)


def test_it_learns_classes_and_leaves_a_backbone(animals, tmp_path):
    import twinsight

    data = ClassFolderOptions(root=animals, val_fraction=0.0, cache=tmp_path / "cache")
    run = pretrain.run(options(tmp_path / "run", data))
    rows = [row for row in read_rows(run / "metrics.csv") if "train/loss" in row]
    assert rows[-1]["train/loss"] < 0.6 * rows[0]["train/loss"]
    assert rows[-1]["train/accuracy"] == 1
    assert twinsight.load(run, device="cpu").embed(np.zeros((32, 32, 3), np.uint8)).shape == (1, 96)


def test_data_without_classes(animals, tmp_path):
    """Also a folder that was given with images alone, where that much is known only then."""
    flat = animals / "cat"
    for data in (FolderOptions(root=animals), parse(Pretrain, "pretrain", [str(flat), "--method", "supervised"]).data):
        with pytest.raises(
            UserError, match=r"--data: has no classes, from which --method supervised learns; put .*/cat"
        ):
            pretrain.run(options(tmp_path / "run", data))


OWN = """
from torch import nn
from twinsight.data.views import one_view

class Own(nn.Module):
    def __init__(self, backbone, classes: int, dim: int = 4):
        super().__init__()
        self.trunk, self.head = backbone, nn.Linear(backbone.dim, classes)

    def views(self):
        return one_view(size=32)

    def forward(self, views, progress, labels):
        return {"loss": nn.functional.cross_entropy(self.head(self.trunk(views[0])), labels)}
"""


def test_a_method_of_ones_own_gets_classes_and_labels(animals, tmp_path):
    (tmp_path / "own_labels.py").write_text(OWN)
    method = parse(Pretrain, "pretrain", ["--method", str(tmp_path / "own_labels.py"), "--data", str(animals)]).method
    assert method.given == ("classes",)
    assert not hasattr(method, "classes")
    data = ClassFolderOptions(root=animals, val_fraction=0.0)
    assert pretrain.run(options(tmp_path / "run", data, method=method, epochs=1))


def test_a_method_that_wants_labels_is_whole():
    check_method(Supervised(Trunk(), 3, one_view(size=16)))
