import numpy as np
import pytest
from PIL import Image

from twinsight.errors import UserError
from twinsight.probes.views import snapshots
from twinsight.probes.views.snapshots import animate, evenly, strip, track

P = "probe/correlation/"


def matrices(count, dim=20):
    rng = np.random.default_rng(0)
    return {10 * i: rng.uniform(-1, 1, (dim, dim)).astype(np.float16) for i in range(count)}


def rows(count, **further):
    numbers = {f"{P}mean_diagonal": 0.5, f"{P}off_diagonal_rms": 0.3, f"{P}noise_floor": 0.1}
    return [{"step": 10.0 * i} | numbers | further for i in range(count)]


def axes(plot):
    figure = plot.figure()
    figure.draw_without_rendering()
    return [axis for part in figure.subfigs for axis in part.axes]


def test_snapshots_are_spread_evenly_with_both_ends():
    assert evenly(matrices(5), 8) == [0, 10, 20, 30, 40]
    assert evenly(matrices(22), 8) == [0, 30, 60, 90, 120, 150, 180, 210]
    assert evenly({30: np.eye(2), 0: np.eye(2)}, 8) == [0, 30]


def test_track_skips_rows_without_the_number():
    assert track([{"step": 1.0, "a": 5.0}, {"step": 2.0}, {"step": 3.0, "a": 7.0}], "a") == ([1, 3], [5, 7])


def test_strip_shows_eight_steps_one_color_bar_and_what_the_rows_have():
    everything = axes(strip(matrices(30), rows(30, **{"train/loss": 3.0, f"{P}effective_rank": 9.0})))
    images = [axis for axis in everything if axis.images]
    assert [axis.get_title() for axis in images] == [f"step {step}" for step in evenly(matrices(30), 8)]
    assert all(axis.images[0].get_clim() == (-1, 1) for axis in images)
    assert sum(axis.get_label() == "<colorbar>" for axis in everything) == 1
    curves = [axis for axis in everything if axis.get_xlabel() == "step"]
    assert [axis.get_title() for axis in curves] == ["", "effective rank", "training loss"]
    names = [text.get_text() for text in curves[0].get_legend().get_texts()]
    assert names == ["diagonal", "off-diagonal RMS", "chance"]
    goals = [line.get_ydata()[0] for line in curves[0].lines if line.get_linestyle() == ":"]
    assert goals == [1, 0]


def test_strip_of_one_snapshot():
    assert len([axis for axis in axes(strip(matrices(1), rows(1))) if axis.images]) == 1


def test_large_matrices_are_cut():
    image = next(axis for axis in axes(strip(matrices(1, dim=300), rows(1))) if axis.images).images[0]
    assert image.get_array().shape == (256, 256)


@pytest.mark.parametrize(("count", "frames"), [(3, 3), (1, 1), (9, 4)])
def test_animation_has_its_frames_and_holds_the_last(tmp_path, monkeypatch, count, frames):
    monkeypatch.setattr(snapshots, "FRAMES", 4)
    file = tmp_path / "new" / "matrix.gif"
    animate(matrices(count, dim=8), file, rows(count), seconds_per_frame=0.2)
    assert [path.name for path in file.parent.iterdir()] == [file.name]
    with Image.open(file) as gif:
        assert gif.format == "GIF"
        assert gif.n_frames == frames
        durations = []
        for i in range(frames):
            gif.seek(i)
            durations.append(gif.info["duration"])
    if frames > 1:
        assert durations == [200] * (frames - 1) + [1000]


@pytest.mark.parametrize("numbers", [(), rows(3)])
def test_animation_shows_each_matrix_in_its_colors(tmp_path, numbers):
    shown = {0: np.zeros((4, 4)), 10: np.ones((4, 4)), 20: -np.ones((4, 4))}
    animate(shown, tmp_path / "m.gif", numbers)
    middles = []
    with Image.open(tmp_path / "m.gif") as gif:
        for i in range(3):
            gif.seek(i)
            middles.append(gif.convert("RGB").getpixel((150, 170)))
    np.testing.assert_allclose(middles, [(142, 233, 236), (221, 36, 24), (10, 6, 24)], atol=2)


def test_nothing_to_draw(tmp_path):
    with pytest.raises(UserError, match="no matrix"):
        strip({}, rows(1))
    with pytest.raises(UserError, match="mean_diagonal"):
        strip(matrices(2), [{"step": 1.0, "train/loss": 2.0}])
    with pytest.raises(UserError, match="seconds-per-frame 0"):
        animate(matrices(2), tmp_path / "m.gif", seconds_per_frame=0)
