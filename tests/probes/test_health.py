import math

import numpy as np
import pytest
import torch
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.views import MultiView, View, two_views
from twinsight.errors import UserError
from twinsight.methods.barlow_twins import BarlowTwins, barlow_twins_loss
from twinsight.probes.views.alarms import ALARMS, diagnose
from twinsight.probes.views.correlation import Correlation
from twinsight.probes.views.health import Health, alignment, uniformity, vital_signs

VIEWS = two_views(size=32)


def photos(count, seed=0, size=40):
    """Smooth images, each of its own colors."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator)
    return list(nn.functional.interpolate(coarse, (size, size + 8), mode="bicubic").clamp(0, 1))


def method(name="test_resnet", seed=0):
    torch.manual_seed(seed)
    return BarlowTwins(Backbone(name), VIEWS, projector=(32, 24))


def tell(numbers):
    return {name for name in ALARMS if numbers[f"alarm/{name}"]}


def healthy(images=64, **changed):
    signs = {"spread": 0.5, "dead_dimensions": 0.0, "effective_rank": 20.0, "dimensions": 128.0, "alignment": 0.5}
    numbers = {f"{place}/{name}": value for place in ("embedding", "projection") for name, value in signs.items()}
    return numbers | {f"{place}/length": 1.0 for place in ("embedding", "projection")} | {"images": images} | changed


def names(numbers, history=()):
    return [alarm.name for alarm in diagnose(numbers, history)]


def test_alignment_and_uniformity_are_written_out_in_float64():
    rng = np.random.default_rng(0)
    z1, z2 = rng.normal(1, 2, (9, 5)), rng.normal(1, 2, (9, 5))
    u1, u2 = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (z1, z2))
    assert alignment(torch.from_numpy(z1), torch.from_numpy(z2)) == pytest.approx(np.mean(((u1 - u2) ** 2).sum(1)))
    pairs = [math.exp(-2 * ((u1[i] - u1[j]) ** 2).sum()) for i in range(9) for j in range(i)]
    assert uniformity(torch.from_numpy(z1)) == pytest.approx(math.log(np.mean(pairs)))


def test_known_vectors():
    axes = torch.eye(4, dtype=torch.float64)
    assert alignment(axes, -axes) == 4
    assert uniformity(axes) == pytest.approx(-4)  # all at a squared distance of 2
    assert uniformity(torch.ones(4, 3, dtype=torch.float64)) == 0
    signs = vital_signs(axes * 3, axes * 3)
    assert signs["length"] == 3
    assert signs["spread"] == pytest.approx(math.sqrt(3 / 4))
    assert signs["effective_rank"] == pytest.approx(3)
    assert signs["mean_diagonal"] == pytest.approx(1)


def test_the_signs_are_those_of_correlation():
    model, images = method(), photos(12)
    numbers = Health()(model, images).numbers
    for part, place in ((model, "projection"), (model.trunk, "embedding")):
        expected = Correlation(transform=VIEWS)(part, images).numbers
        for name in ("mean_diagonal", "off_diagonal_rms", "dead_dimensions", "effective_rank", "dimensions"):
            assert numbers[f"{place}/{name}"] == pytest.approx(expected[name])
    assert numbers["noise_floor"] == pytest.approx(1 / math.sqrt(12))


@pytest.mark.parametrize("name", ["test_resnet", "test_vit", "test_convnext"])
@pytest.mark.parametrize("count", [2, 3, 5, 8, 48])
def test_silent_on_untrained_networks(name, count):
    finding = Health()(method(name), photos(count))
    assert tell(finding.numbers) == set()
    assert 0.05 < finding.numbers["projection/spread"] < 1


def test_silent_on_a_slightly_trained_network():
    model, images = method(), photos(32)
    optimizer = torch.optim.AdamW(model.parameters(), 3e-3)
    generator = np.random.default_rng(0)
    history = []
    for step in range(30):
        if step % 5 == 0:
            history.append(Health(history=lambda: history)(model, images).numbers)
            assert tell(history[-1]) == set()
        views = [VIEWS((image.permute(1, 2, 0) * 255).byte().numpy(), generator) for image in images]
        z1, z2 = (model.project(torch.from_numpy(np.stack(view)).permute(0, 3, 1, 2)) for view in zip(*views))
        invariance, redundancy = barlow_twins_loss(z1, z2)
        loss = invariance + 0.02 * redundancy
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append({"train/loss": loss.item()})
    assert tell(Health(history=lambda: history)(model, images).numbers) == set()


@pytest.mark.parametrize("count", [2, 4, 30])
def test_a_constant_output_has_collapsed(count):
    model = method()
    model.projector[-1].weight.data.zero_()
    model.projector[-1].bias = nn.Parameter(torch.ones(24))
    finding = Health()(model, photos(count))
    assert tell(finding.numbers) == {"collapsed"}
    assert finding.numbers["projection/dead_dimensions"] == 1


def test_a_faint_rest_of_the_images_has_collapsed():
    model = method()
    model.projector[-1].weight.data *= 1e-3
    model.projector[-1].bias = nn.Parameter(torch.ones(24))
    assert tell(Health()(model, photos(16)).numbers) == {"collapsed"}


@pytest.mark.parametrize("count", [6, 16, 48])
@pytest.mark.parametrize("spread_out", [True, False])
def test_two_dimensions_are_a_dimensional_collapse(count, spread_out):
    model = method()
    weight = model.projector[-1].weight.data
    if spread_out:
        weight.copy_(torch.randn(24, 2) @ torch.randn(2, 32))
    else:
        weight[2:] = 0
    assert tell(Health()(model, photos(count)).numbers) == {"dimensional_collapse"}


def test_what_is_not_finite_diverges_and_is_drawn():
    model = method()
    model.projector[-1].weight.data[0, 0] = torch.nan
    finding = Health()(model, photos(4))
    assert tell(finding.numbers) == {"diverging"}
    assert math.isnan(finding.numbers["projection/alignment"])
    assert finding.numbers["embedding/alignment"] > 0
    finding.figures["panel"].figure().draw_without_rendering()


def test_a_frozen_network_does_not_learn():
    model, images, history = method(), photos(8), []
    for look in range(8):
        numbers = Health(history=lambda: [{f"probe/health/{k}": v for k, v in row.items()} for row in history])(
            model, images
        ).numbers
        assert tell(numbers) == ({"not_learning"} if look >= 5 else set())
        history.append(numbers)


def losses(values):
    return [{"train/loss": float(value)} for value in values]


def noise(count, deviation):
    return np.random.default_rng(0).normal(0, deviation, count)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.full(60, 5.0), ["not_learning"]),
        (5 + noise(60, 0.5), ["not_learning"]),
        (5 + noise(40, 0.5), []),  # too few to tell
        (np.linspace(5, 4, 60) + noise(60, 0.4), []),
        (5 * np.exp(-np.arange(200) / 10) + 2 + noise(200, 0.1), []),  # has long come to rest
        (np.linspace(-0.1, -0.9, 60), []),
        (np.r_[np.linspace(9.2, 7, 30), np.linspace(7, 8.5, 30)], []),  # as DINO's, while its teacher sharpens
        (np.geomspace(5, 500, 40), ["diverging"]),
        (np.r_[np.linspace(220, 50, 40), np.geomspace(50, 1e4, 10)], ["diverging"]),
        (np.r_[np.linspace(5, 2, 59), 1e6], []),  # a single spike
        ([5, 4, math.nan], ["diverging"]),
        ([5, 4, math.inf], ["diverging"]),
    ],
)
def test_losses(values, expected):
    assert names(healthy(), losses(values)) == expected


def test_numbers_that_grow_diverge():
    assert names(healthy(), [healthy()]) == []
    assert names(healthy(**{"projection/length": 150.0}), [healthy()]) == ["diverging"]


@pytest.mark.parametrize(("moved", "expected"), [(1.005, ["not_learning"]), (1.02, []), (0.9, [])])
def test_numbers_that_do_not_move(moved, expected):
    now = healthy(**{"projection/alignment": 0.5 * moved})
    assert names(now, [healthy()] * 5) == expected
    assert names(now, [healthy()] * 4) == []


@pytest.mark.parametrize(
    ("images", "dimensions", "rank", "rings"),
    [
        (4, 128, 1.8, True),
        (4, 128, 2.0, False),
        (64, 128, 5.0, True),
        (64, 128, 5.1, False),
        (64, 8, 1.9, True),
        (64, 8, 2.1, False),
    ],
)
def test_the_rank_is_judged_by_what_images_and_dimensions_allow(images, dimensions, rank, rings):
    numbers = healthy(images, **{"embedding/effective_rank": rank, "embedding/dimensions": float(dimensions)})
    assert names(numbers) == ["dimensional_collapse"] * rings


def test_each_alarm_says_what_and_what_to_try():
    numbers = healthy(**{"embedding/spread": 0.001, "projection/effective_rank": 2.0})
    collapsed, dimensional = diagnose(numbers)
    assert collapsed.says == "all images have the same embedding: it varies by 0.10% of its length"
    assert "projection uses 2.0 dimensions of at most 127" in dimensional.says
    assert collapsed.advice
    assert dimensional.advice


def texts(finding):
    axis = finding.figures["panel"].figure().axes[0]
    return [text.get_text() for text in axis.texts]


def test_the_panel_has_words_for_its_colors():
    model = method()
    seen = texts(Health()(model, photos(6)))
    assert [seen.count(word) for word in ("fine", "ALARM", "open")] == [3, 0, 1]
    assert "Too few looks and losses to tell." in seen
    model.projector[-1].weight.data[2:] = 0
    seen = texts(Health(history=lambda: losses([5] * 60))(model, photos(6)))
    assert [seen.count(word) for word in ("fine", "ALARM", "open")] == [2, 2, 0]
    assert "The loss has not fallen: 5 at first, 5 at last." in seen


def test_a_backbone_has_no_projection():
    numbers = Health()(Backbone("test_vit"), photos(3)).numbers
    assert not any(name.startswith("projection") for name in numbers)


def test_the_model_and_the_random_state_are_left_as_they_were():
    model = method()
    model.trunk.eval()
    modes = [module.training for module in model.modules()]
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    first, again, other = (Health(seed=seed)(model, photos(4)).numbers for seed in (0, 0, 1))
    assert first == again
    assert first["embedding/alignment"] != other["embedding/alignment"]
    assert torch.equal(torch.get_rng_state(), random)
    assert [module.training for module in model.modules()] == modes
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())


def test_what_cannot_be_asked():
    with pytest.raises(UserError, match="--seed -1"):
        Health(seed=-1)
    with pytest.raises(UserError, match="images: 1 given"):
        Health()(method(), photos(1))
    with pytest.raises(UserError, match="views: the transform makes only one"):
        Health(transform=MultiView([View(size=32)]))(method(), photos(3))
