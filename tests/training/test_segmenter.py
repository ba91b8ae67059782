import numpy as np
import pytest
import torch

from twinsight.assemble.open import load_segmenter, make_model
from twinsight.backbones.backbone import Backbone
from twinsight.commands import segment
from twinsight.data.loader import Pairs
from twinsight.data.samples import Sample
from twinsight.data.shapes import Shapes, write
from twinsight.options.backbones import TimmOptions
from twinsight.options.build import build
from twinsight.options.commands import Segment
from twinsight.options.data import FolderOptions, PairOptions, ShapesOptions
from twinsight.options.heads import FcnOptions, LinearOptions
from twinsight.runs.rows import read_rows
from twinsight.segmentation.inference import Inference
from twinsight.segmentation.losses import SegmentationLoss
from twinsight.segmentation.metrics import ConfusionMatrix
from twinsight.segmentation.model import SegmentationModel
from twinsight.training.optim import Optimization
from twinsight.training.segmenter import Segmenter

DATA = ShapesOptions(count=16, val_count=16, size=32, radius=(0.4, 0.45), crowding=0.0)


def options(run, **changes) -> Segment:
    given = {
        "epochs": 1, "batch_size": 8, "workers": 0, "precision": "fp32", "augment": PairOptions(size=32, scale=(1, 1)),
        "backbone": TimmOptions(name="test_resnet"), "head": LinearOptions(), "data": DATA, "warmup_epochs": 0,
    }  # fmt: skip
    return Segment(run=run, **given | changes)


def trained(run) -> dict[str, torch.Tensor]:
    return load_segmenter(run, "last", torch.device("cpu"))[0].state_dict()


def fresh(opts: Segment) -> dict[str, torch.Tensor]:
    torch.manual_seed(opts.seed)
    return make_model(opts, 8).state_dict()


@pytest.mark.parametrize("freeze", ["all", 3])
def test_frozen_weights_and_statistics_stay(tmp_path, freeze):
    backbone = Backbone("test_resnet")
    backbone.freeze(freeze)
    frozen = {n for n, p in backbone.named_parameters() if not p.requires_grad}
    weights = tmp_path / "backbone.pt"
    torch.save(backbone.network.state_dict(), weights)
    opts = options(tmp_path / "run", freeze=freeze, weights=weights, lr=0.1)
    segment.run(opts)
    before, after = backbone.state_dict(), trained(tmp_path / "run")
    for name in before:
        # A layer's buffers follow its weights: those of a frozen batch norm stay, the others drift.
        owner = name.rpartition(".")[0]
        still = name in frozen if name in dict(backbone.named_parameters()) else f"{owner}.weight" in frozen
        assert torch.equal(before[name], after[f"backbone.{name}"]) == still, name
    assert 0 < len(frozen) <= len(list(backbone.parameters()))


def test_auxiliary_head_trains(tmp_path):
    opts = options(tmp_path / "run", aux_weight=0.4)
    segment.run(opts)
    after = trained(tmp_path / "run")
    torch.manual_seed(0)
    names = [name for name in after if name.startswith("aux.") and after[name].is_floating_point()]
    assert names
    assert any(not torch.equal(after[name], value) for name, value in fresh(opts).items() if name in names)


def test_loss_is_the_weighted_sum_of_both_heads():
    torch.manual_seed(0)
    backbone = Backbone("test_resnet")
    shape = (backbone.dims, backbone.strides, 3)
    model = SegmentationModel(backbone, build(LinearOptions(), *shape), build(FcnOptions(level=2, dropout=0.0), *shape))
    loss = SegmentationLoss({"cross-entropy": 1.0})
    module = Segmenter(model, loss, 3, Optimization(), 1e-3, Inference(), aux_weight=0.3)
    module.log = lambda *args, **kwargs: None
    module._trainer = type("", (), {"optimizers": [torch.optim.SGD(model.parameters(), 0.1)]})()
    rng = np.random.default_rng(0)
    samples = [
        Sample(rng.integers(0, 256, (32, 32, 3), np.uint8), rng.integers(0, 3, (32, 32), np.uint8), str(i))
        for i in range(2)
    ]
    batch = Pairs.collate(samples)
    with torch.no_grad():
        main, aux = (loss(logits, batch.masks) for logits in model.every_logits(batch.images, [model.head, model.aux]))
        assert module.training_step(batch, 0).item() == pytest.approx((main + 0.3 * aux).item())


def test_validation_in_batches_equals_one_by_one():
    torch.manual_seed(0)
    model = make_model(options(None), 4).eval()
    rng = np.random.default_rng(0)
    sizes = [(32, 40), (33, 47), (32, 40), (64, 32)]
    samples = [
        Sample(rng.integers(0, 256, (h, w, 3), np.uint8), rng.integers(0, 4, (h, w), np.uint8), str(i))
        for i, (h, w) in enumerate(sizes)
    ]
    module = Segmenter(model, SegmentationLoss({"cross-entropy": 1.0}), 4, Optimization(), 1e-3, Inference())
    with torch.inference_mode():
        for size in dict.fromkeys(sizes):
            same = [sample for sample in samples if sample.mask.shape == size]
            module.validation_step(Pairs.collate(same), 0)
        expected = ConfusionMatrix(4)
        for image, mask, _ in samples:
            prediction = model(torch.from_numpy(image).permute(2, 0, 1)[None]).argmax(1)
            expected.update(prediction, torch.from_numpy(mask)[None])
    assert torch.equal(module.confusion.matrix, expected.matrix)
    assert expected.matrix.sum() == sum(h * w for h, w in sizes)


def test_learns_a_tiny_problem(tmp_path, monkeypatch):
    """Trained on, and measured on, the same few images, which a look at the data would refuse."""
    monkeypatch.setattr("twinsight.assemble.datasets.glance", lambda *_: None)
    write(tmp_path / "shapes", Shapes("train", 16, 32, radius=(0.4, 0.45), crowding=0.0), Shapes("val", 1, 32))
    split = tmp_path / "shapes/ImageSets/Segmentation"
    (split / "val.txt").write_text((split / "train.txt").read_text())
    run = segment.run(options(
        tmp_path / "run", data=FolderOptions(root=tmp_path / "shapes"), epochs=25, val_every=25, lr=3e-3, head_lr=1e-2,
        augment=PairOptions(size=32, scale=(1, 1), jitter=0, flip=0), head=LinearOptions(levels=(0, 1, 2, 3, 4)),
    ))  # fmt: skip
    (validation,) = [row for row in read_rows(run / "metrics.csv") if "val/mean_iou" in row]
    assert validation["val/mean_iou"] > 0.5  # background everywhere: 0.09
