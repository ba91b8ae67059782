"""Settings at "auto": the value of each, from the scale of the data."""

from dataclasses import dataclass, field
from typing import Literal

import pytest

from twinsight.assemble.opening import announce_settings
from twinsight.errors import UserError
from twinsight.options.auto import Scale, Setting, power_of_two, settle
from twinsight.options.build import Buildable, build
from twinsight.options.data import ShapesOptions
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.byol import ByolOptions
from twinsight.options.methods.dino import DinoOptions
from twinsight.options.methods.moco_v3 import MocoV3Options
from twinsight.options.methods.simsiam import SimSiamOptions
from twinsight.options.methods.swav import SwavOptions
from twinsight.options.methods.views import MultiCropOptions, OneViewOptions, TwoViewsOptions
from twinsight.options.pretrain import Pretrain
from twinsight.options.ranges import check_ranges

SCALES = [Scale(images, batch, updates, side) for images, batch, updates, side in (
    (2, 2, 100, 8), (500, 64, 2002, 300), (50_000, 256, 19_500, 32), (10**6, 1024, 97_600, 500),
    (10**8, 4096, 10**6, 224),
)]  # fmt: skip

OTHERS = (ByolOptions, MocoV3Options, SimSiamOptions, SwavOptions)


@dataclass(frozen=True)
class Inner(Buildable):
    width: int | Literal["auto"] = "auto"

    def auto(self, scale: Scale) -> dict[str, Setting]:
        return {"width": Setting(scale.side, "the side")}


@dataclass(frozen=True)
class Outer(Buildable):
    target = "builtins:dict"
    not_arguments = ()
    kind: str = "auto"  # a value like any other: no setting
    count: int | Literal["auto"] = "auto"
    fixed: int | Literal["auto"] = 5
    inner: Inner = field(default_factory=Inner)

    def auto(self, scale: Scale) -> dict[str, Setting]:
        return {"count": Setting(scale.images, "the images"), "fixed": Setting(9, "never used")}


def test_auto_is_replaced_and_told_and_the_rest_stays():
    settled, told = settle(Outer(), Scale(7, 1, 1, 33), "--outer.")
    assert settled == Outer("auto", 7, 5, Inner(33))
    assert told == {"--outer.count": Setting(7, "the images"), "--outer.inner.width": Setting(33, "the side")}
    assert settle(settled, Scale(8, 1, 1, 44)) == (settled, {})


def test_what_is_not_settled_is_left_to_what_is_built():
    assert build(TwoViewsOptions()).views[0].size == 224
    assert build(MultiCropOptions()).views[-1].size == 96


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("method", [BarlowTwinsOptions, DinoOptions, *OTHERS], ids=lambda method: method.name)
def test_values_lie_in_their_ranges(method, scale):
    settled, told = settle(method(), scale)
    check_ranges(settled)
    assert told
    assert all(setting.why for setting in told.values())


def test_large_data_have_the_papers_values():
    barlow, _ = settle(BarlowTwinsOptions(), Scale(1_281_167, 2048, 10**6, 400))
    assert (barlow.projector, barlow.views.size) == ((8192,) * 3, 224)
    assert barlow.lambd == pytest.approx(0.0051)
    dino, _ = settle(DinoOptions(), Scale(1_281_167, 1024, 375_000, 400))
    assert (dino.prototypes, dino.momentum, dino.centering, dino.batch_norm) == (65536, 0.996, "mean", False)
    assert (dino.teacher_temperature, dino.views.size, dino.views.local_size) == ((0.04, 0.07), 224, 96)


def test_the_papers_values_of_those_with_two_networks_and_of_swav():
    paper = Scale(1_281_167, 4096, 312_000, 400)
    byol, moco, simsiam, swav = (settle(each(), paper)[0] for each in OTHERS)
    assert (byol.hidden, byol.momentum) == (4096, 0.996)
    assert (moco.projector, moco.hidden, moco.momentum) == ((4096, 4096, 256), 4096, 0.99)
    assert (simsiam.dim, simsiam.hidden) == (2048, 512)
    assert (swav.prototypes, swav.hidden, swav.queue_length, swav.epsilon) == (3000, 2048, 0, 0.05)
    small = SwavOptions().auto(paper._replace(batch=256))
    assert small["queue_length"].value == 3840  # as in the official script for batches of 256


@pytest.mark.parametrize(
    ("side", "size", "local"), [(8, 32, 16), (32, 32, 16), (64, 64, 32), (90, 96, 48), (224, 224, 96)]
)
def test_views_are_no_larger_than_the_images(side, size, local):
    settled, _ = settle(MultiCropOptions(), Scale(1000, 64, 2000, side))
    assert (settled.size, settled.local_size) == (size, local)


def test_a_small_view_suits_a_large_one_that_was_given():
    assert settle(MultiCropOptions(size=112), Scale(1000, 64, 2000, 500))[0].local_size == 48


@pytest.mark.parametrize(("side", "largest"), [(8, 0.29), (32, 0.29), (90, 0.86), (224, 2.0), (1000, 2.0)])
def test_small_views_are_blurred_less(side, largest):
    """At 2 pixels, half of the views of 32 pixels would show little but colors."""
    assert settle(TwoViewsOptions(), Scale(1000, 64, 2000, side))[0].sigma == (0.1, largest)


def test_what_does_not_blur_tells_no_blur():
    assert settle(OneViewOptions(), Scale(1000, 64, 2000, 32))[1].keys() == {"--size"}
    assert settle(OneViewOptions(blur=0.5), Scale(1000, 64, 2000, 32))[1].keys() == {"--size", "--sigma"}


@pytest.mark.parametrize(("images", "epochs", "updates"), [(500, 286, 2002), (50_000, 100, 19_500), (2, 2000, 2000)])
def test_few_images_are_seen_more_often(images, epochs, updates):
    settled, _ = Pretrain().settled(images, 224)
    assert settled.passes == epochs
    assert settled.passes * (images // settled.batch) == updates


def test_a_learning_rate_grows_with_the_images_of_an_update():
    def peak(batch, **options):
        settled, _ = Pretrain(batch_size=batch, **options).settled(10_000, 224)
        return settled.peak_lr * batch * options.get("accumulate", 1) / settled.lr_batch

    assert peak(256) == pytest.approx(1e-3)
    assert peak(64) == pytest.approx(5e-4)
    assert peak(64, accumulate=4) == pytest.approx(1e-3)
    assert peak(64, lr_batch=64) == pytest.approx(5e-4)
    assert peak(64, optimizer="sgd") == pytest.approx(0.05 / 4)


def test_epochs_that_fit_a_time():
    settled, told = Pretrain(time_budget=2, batch_size=50).settled(500, 224, step=0.6)
    assert settled.passes == 20  # 10 steps of 0.6 s each
    assert settled.time_budget is None
    assert "2 minutes" in told["--epochs"].why
    assert Pretrain(time_budget=0.01, batch_size=50).settled(500, 224, step=60)[0].passes == 1


def test_what_was_given_stays():
    given = Pretrain(
        epochs=3, batch_size=8, lr=0.5, data=ShapesOptions(), method=BarlowTwinsOptions(projector=(4,), lambd=0.1)
    )
    settled, told = given.settled(100, 224)
    assert (settled.epochs, settled.batch_size, settled.lr) == (3, 8, 0.5)
    assert told.keys() == {"--method.views.size", "--method.views.sigma"}


def test_a_budget_beside_epochs_is_refused():
    with pytest.raises(UserError, match=r"^--time-budget 5: --epochs 3 fixes the time; leave one out$"):
        check_ranges(Pretrain(epochs=3, time_budget=5))


def test_the_reasons_are_printed(capfd):
    announce_settings({"--lr": Setting(0.00012345, "small"), "--views": Setting((32, 16), "tiny")})
    assert capfd.readouterr().err.splitlines() == ["  --lr 0.000123: small", "  --views 32 16: tiny"]


@pytest.mark.parametrize(("value", "expected"), [(0, 4), (7.9, 4), (8, 8), (1e9, 64)])
def test_powers_of_two(value, expected):
    assert power_of_two(value, 4, 64) == expected
