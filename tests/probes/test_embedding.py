import sys

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.errors import UserError
from twinsight.probes.embeddings.neighbors import leave_one_out
from twinsight.probes.embeddings.plane import NAMED, Embedding, apart, styles, tsne
from twinsight.probes.probe import effective_rank


class Lookup(nn.Module):
    """Embeds an image as the row of a table that its first pixel names."""

    def __init__(self, table):
        super().__init__()
        self.table = nn.Parameter(torch.as_tensor(table, dtype=torch.float32))

    def forward(self, images):
        return self.table[images[:, 0, 0, 0].long()]


def numbered(count, size=(4, 6)):
    return [torch.full((3, *size), i, dtype=torch.uint8) for i in range(count)]


def table(count, dim=5, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, dim, generator=generator) * torch.linspace(2, 1, dim)


def points(axis):
    """Coordinates of the dots, in the order of the legend's classes."""
    return np.concatenate([dots.get_offsets() for dots in axis.collections])


def thumbnails(axis):
    return [artist for artist in axis.artists if hasattr(artist, "xy")]


def only_axis(finding):
    (axis,) = finding.figures["embedding"].figure().axes
    return axis


def test_points_and_shares_equal_numpys_svd():
    vectors = table(20)
    finding = Embedding(thumbnails=0)(Lookup(vectors), numbered(20))
    centered = vectors.double().numpy() - vectors.double().numpy().mean(0)
    _, singular, axes = np.linalg.svd(centered, full_matrices=False)
    axes *= np.sign(axes[np.arange(5), np.abs(axes).argmax(1)])[:, None]
    axis = only_axis(finding)
    np.testing.assert_allclose(points(axis), centered @ axes[:2].T, atol=1e-6)
    shares = singular**2 / (singular**2).sum()
    assert finding.numbers["explained1"] == pytest.approx(shares[0])
    assert finding.numbers["explained2"] == pytest.approx(shares[1])
    assert finding.numbers["effective_rank"] == pytest.approx(effective_rank(vectors))
    assert axis.get_xlabel() == f"PC 1 ({100 * shares[0]:.0f}% of variance)"


def test_every_image_is_a_dot_or_a_thumbnail():
    axis = only_axis(Embedding(thumbnails=7)(Lookup(table(30)), numbered(30)))
    assert len(thumbnails(axis)) == 7
    assert len(points(axis)) == 23


def test_thumbnails_lie_apart_and_within_the_axes():
    figure = Embedding()(Lookup(table(120)), numbered(120)).figures["embedding"].figure()
    figure.draw_without_rendering()
    (axis,) = figure.axes
    boxes = [box.get_window_extent() for box in thumbnails(axis)]
    assert 10 < len(boxes) <= 60
    frame = axis.get_window_extent()
    for i, box in enumerate(boxes):
        assert frame.x0 - 1 <= box.x0 < box.x1 <= frame.x1 + 1
        assert frame.y0 - 1 <= box.y0 < box.y1 <= frame.y1 + 1
        for other in boxes[:i]:
            x = min(box.x1, other.x1) - max(box.x0, other.x0)
            y = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(x, y) < 0.15 * box.width


def test_the_farthest_come_first():
    line = np.array([[0.0, 0], [0.5, 0], [2, 0], [2, 0], [10, 0], [10.2, 0.9]])
    chosen = apart(line, 9)
    assert chosen == [0, 5, 2]
    assert apart(line, 2) == chosen[:2]
    assert apart(line, 0) == []


def test_k_nn_of_the_labels():
    vectors = table(12)
    names = [f"class {i % 3}" for i in range(12)]
    numbers = Embedding(labels=names)(Lookup(vectors), numbered(12)).numbers
    assert numbers["knn"] == leave_one_out(vectors, torch.arange(12) % 3)
    assert "knn" not in Embedding()(Lookup(vectors), numbered(12)).numbers


def test_masks_name_classes_and_the_palette_colors_them():
    masks = [torch.full((4, 6), i % 2 + 1) for i in range(6)]
    classes, palette = ("background", "cat", "dog"), np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], np.uint8)
    probe = Embedding(classes=classes, palette=palette)
    figure = probe(Lookup(table(6)), numbered(6), masks).figures["embedding"].figure()
    legend = {handle.get_label(): to_hex(handle.get_color()) for handle in figure.legends[0].legend_handles}
    assert legend == {"cat": "#ff0000", "dog": "#0000ff"}
    frames = {to_hex(box.patch.get_edgecolor()) for box in thumbnails(figure.axes[0])}
    assert frames == {"#ff0000", "#0000ff"}


def test_classes_differ_in_color_or_marker_and_rare_ones_share_a_gray():
    names = [f"{i:02}" for i in range(NAMED)]
    looks = styles(names, (), None)
    assert list(looks) == names
    assert len(set(looks.values())) == NAMED
    many = styles([*names, *names, "rare", "rarer"], (), None)
    assert list(many) == [*names, "other classes"]
    finding = Embedding(labels=[*names, *names, "rare", "rarer"])(Lookup(table(42)), numbered(42))
    axis = only_axis(finding)
    assert len(points(axis)) + len(thumbnails(axis)) == 42


def test_a_collapsed_network_is_drawn_on_one_spot():
    finding = Embedding()(Lookup(torch.ones(5, 3)), numbered(5))
    assert np.isnan(finding.numbers["explained1"])
    assert finding.numbers["effective_rank"] == pytest.approx(1)
    axis = only_axis(finding)
    assert len(thumbnails(axis)) == 1
    np.testing.assert_allclose(points(axis), 0, atol=1e-6)


def test_a_backbone_of_odd_sizes_is_left_as_it_was(tmp_path):
    torch.manual_seed(0)
    backbone = Backbone("resnet10t").train()
    modes = [module.training for module in backbone.modules()]
    state = torch.get_rng_state()
    images = [image for size in ((33, 40), (64, 32), (1, 60)) for image in numbered(2, size)]
    finding = Embedding()(backbone, images)
    assert [module.training for module in backbone.modules()] == modes
    assert torch.equal(torch.get_rng_state(), state)
    assert all(parameter.requires_grad and parameter.grad is None for parameter in backbone.parameters())
    finding.figures["embedding"].save(tmp_path / "embedding.png")


def test_tsne_repeats_and_keeps_clusters_apart():
    pytest.importorskip("openTSNE")
    clusters = np.arange(40) % 2
    vectors = table(40) * 0.1 + torch.eye(5)[clusters]
    state = np.random.get_state()[1].copy()
    first, second, other = (
        points(only_axis(Embedding("tsne", seed=seed, thumbnails=0)(Lookup(vectors), numbered(40))))
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first, second)
    assert np.isfinite(other).all()
    assert (np.random.get_state()[1] == state).all()
    distance = np.linalg.norm(first[:, None] - first, axis=-1) + 1e9 * np.eye(40)
    assert (clusters[distance.argmin(1)] == clusters).all()


def test_the_axis_tells_the_perplexity_used():
    pytest.importorskip("openTSNE")
    finding = Embedding("tsne", perplexity=5)(Lookup(table(10)), numbered(10))
    assert only_axis(finding).get_xlabel() == "t-SNE 1 (perplexity 3)"
    assert "explained1" not in finding.numbers
    finding = Embedding("tsne", perplexity=2.5)(Lookup(table(10)), numbered(10))
    assert only_axis(finding).get_xlabel() == "t-SNE 1 (perplexity 2.5)"


def test_tsne_of_equal_vectors():
    pytest.importorskip("openTSNE")
    assert np.isfinite(tsne(np.ones((5, 3), np.float32), np.zeros((5, 2)), 1.0, 0)).all()


def test_tsne_not_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    with pytest.raises(UserError, match=r"--projection tsne: not installed; run: pip install 'twinsight\[tsne\]'"):
        Embedding("tsne")(Lookup(table(5)), numbered(5))


@pytest.mark.parametrize(("method", "count", "least"), [("pca", 2, 3), ("tsne", 3, 4)])
def test_too_few_images(method, count, least):
    with pytest.raises(UserError, match=f"needs {least} images, but there are {count}"):
        Embedding(method)(Lookup(table(count)), numbered(count))


@pytest.mark.parametrize("options", [{"projection": "umap"}, {"thumbnails": -1}, {"perplexity": 0.5}])
def test_impossible_options(options):
    with pytest.raises(UserError, match=f"--{next(iter(options))} "):
        Embedding(**options)
