import numpy as np
import pytest

from twinsight.assemble import probing
from twinsight.backbones.backbone import Backbone
from twinsight.commands import pretrain
from twinsight.data.shapes import Shapes
from twinsight.data.views import two_views
from twinsight.errors import UserError
from twinsight.methods.barlow_twins import BarlowTwins
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Pretrain
from twinsight.options.data import ShapesOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.views import TwoViewsOptions
from twinsight.probes.captions import CAPTIONS
from twinsight.runs.rows import read_rows


def options(run, **changes) -> Pretrain:
    given = {
        "epochs": 1, "batch_size": 4, "workers": 0, "log_every": 1, "precision": "fp32", "warmup_epochs": 0,
        "method": BarlowTwinsOptions(projector=(8, 8), views=TwoViewsOptions(size=32)),
        "backbone": TimmOptions(name="test_resnet"), "data": ShapesOptions(count=16, size=32),
    }  # fmt: skip
    return Pretrain(run=run, **given | changes)


def names(spec: str, backbone: str = "test_resnet") -> list[tuple]:
    method = BarlowTwins(network := Backbone(backbone), two_views(size=32), (8, 8))
    subjects = {"backbone": network, "network": network, "method": method}
    data = Shapes(count=40, size=32)
    watching = probing.make_probing(probing.plan_looks(spec, subjects, data), subjects, data, data, None, 0.05)
    return [(s.name, s.every, s.unit, len(s.images)) for one in watching for s in one.scheduled]


def test_interval_and_images_of_each():
    spec = "features@5,filters@500steps,erf@2epochs:3,correlation:16"
    assert names(spec) == [
        ("features", 5, "epochs", 8), ("filters", 500, "steps", 0), ("erf", 2, "epochs", 3),
        ("correlation", 1, "epochs", 16),
    ]  # fmt: skip


def test_auto_suits_the_network():
    usual = ["views", "correlation", "health", "features"]
    assert [name for name, *_ in names("auto")] == [*usual, "erf"]
    assert [name for name, *_ in names("auto", "test_vit")] == [*usual, "attention"]
    assert names("none") == []


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("atention", "did you mean attention"),
        ("curves", "no such probe"),
        ("attention@0", "not understood"),
        ("attention@5weeks", "not understood"),
        ("", "not understood"),
        ("predictions", "needs a segmenter"),
    ],
)
def test_bad_specs(spec, said):
    with pytest.raises(UserError, match=said):
        names(spec)


def test_images_of_a_folder(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        pretrain.run(options(tmp_path / "run", probe_images=tmp_path / "nowhere"))
    assert not (tmp_path / "run").exists()


def test_a_pretraining_leaves_figures_numbers_and_a_report(tmp_path):
    run = pretrain.run(options(tmp_path / "run", probe="auto", probe_budget=1.0, epochs=2))
    figures = run / "figures"
    assert {folder.name for folder in figures.iterdir()} == {"views", "correlation", "health", "features", "erf"}
    assert len(list((figures / "views").glob("*.png"))) == 1
    assert (figures / "correlation" / "matrix-0000008.png").is_file()
    assert (figures / "correlation" / "strip.png").is_file()
    assert (figures / "correlation" / "animation.gif").read_bytes().startswith(b"GIF")
    assert np.load(figures / "correlation" / "matrix-0000000.npy").shape == (8, 8)
    last = read_rows(run / "metrics.csv")[-1]
    assert -1 <= last["probe/correlation/mean_diagonal"] <= 1
    page = (run / "report.html").read_text()
    assert "data:image/gif;base64" in page
    assert CAPTIONS["features"].read in page


@pytest.mark.parametrize("name", ["attention", "scores"])
def test_attention_is_not_asked_of_a_network_without_it(name):
    with pytest.raises(UserError, match=f"--probe {name}: this backbone has no attention"):
        names(name)
