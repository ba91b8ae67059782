import re
import shutil
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from twinsight.assemble.open import load_segmenter
from twinsight.commands import predict
from twinsight.errors import Remark, UserError
from twinsight.options.commands import Predict
from twinsight.segmentation.classes import load_classes
from twinsight.segmentation.inference import Inference
from twinsight.segmentation.model import SegmentationModel


@pytest.fixture
def photos(tmp_path) -> Path:
    rng = np.random.default_rng(0)
    (tmp_path / "photos/sub").mkdir(parents=True)
    for name, shape in {"a.png": (32, 40, 3), "sub/b.jpg": (33, 47, 3), "c.png": (40, 32)}.items():
        Image.fromarray(cv2.blur(rng.integers(0, 256, shape, np.uint8), (5, 5))).save(tmp_path / "photos" / name)
    return tmp_path / "photos"


def run(segmenter_run: Path, *images: Path, **changes) -> Path:
    out = images[0].parent / "out"
    predict.run(Predict(run=segmenter_run, images=images, **{"out": out} | changes))
    return out


def names(folder: Path) -> set[str]:
    return {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}


def test_masks_are_the_argmax_in_the_palette(segmenter_run, photos):
    out = run(segmenter_run, photos)
    assert names(out) == {
        "a.png",
        "a.overlay.jpg",
        "sub/b.png",
        "sub/b.overlay.jpg",
        "c.png",
        "c.overlay.jpg",
    }
    model, _ = load_segmenter(segmenter_run, "best", torch.device("cpu"))
    _, palette = load_classes(segmenter_run / "classes.json")
    for source, name in (("a.png", "a"), ("sub/b.jpg", "sub/b"), ("c.png", "c")):
        image = np.array(Image.open(photos / source).convert("RGB"))
        if source.endswith("jpg"):
            image = cv2.cvtColor(cv2.imread(str(photos / source)), cv2.COLOR_BGR2RGB)
        with torch.inference_mode():
            expected = model(torch.from_numpy(image).permute(2, 0, 1)[None]).argmax(1)[0].numpy()
        mask = Image.open(out / f"{name}.png")
        assert mask.mode == "P"
        assert np.array_equal(np.asarray(mask), expected)
        assert np.array_equal(np.array(mask.getpalette()[:24]).reshape(8, 3), palette)
        assert Image.open(out / f"{name}.overlay.jpg").size == image.shape[1::-1]


def test_without_overlays(segmenter_run, photos):
    assert names(run(segmenter_run, photos / "a.png", overlay=False, out=photos.parent / "o")) == set()
    assert names(photos.parent / "o") == {"a.png"}


def test_nothing_is_overwritten(segmenter_run, photos):
    out = run(segmenter_run, photos)
    (out / "a.png").write_text("dear")
    with pytest.raises(UserError, match=r"a.png: exists"):
        run(segmenter_run, photos)
    assert (out / "a.png").read_text() == "dear"
    run(segmenter_run, photos, overwrite=True)
    assert Image.open(out / "a.png").mode == "P"


def test_an_overlay_alone_is_not_overwritten(segmenter_run, photos):
    out = photos.parent / "out"
    out.mkdir()
    (out / "a.overlay.jpg").write_text("dear")
    with pytest.raises(UserError, match=r"a.overlay.jpg: exists"):
        run(segmenter_run, photos)


def test_two_images_of_one_name(segmenter_run, photos):
    Image.open(photos / "a.png").save(photos / "a.jpg")
    with pytest.raises(UserError, match=r"a\.(png|jpg): its mask would overwrite that of"):
        run(segmenter_run, photos)
    assert not (photos.parent / "out").exists()


def test_a_broken_image_among_good_ones(segmenter_run, photos):
    (photos / "b.png").write_bytes((photos / "a.png").read_bytes()[:100])
    with pytest.raises(UserError, match=r"^1 of 4 images cannot be read, as named above"):
        run(segmenter_run, photos)
    assert {"a.png", "c.png", "sub/b.png"} <= names(photos.parent / "out")


@pytest.mark.parametrize(
    ("image", "sentence"),
    [("none.png", "no such file"), ("empty", "holds no image"), ("file/x.png", "no such file")],
)
def test_bad_images(segmenter_run, photos, image, sentence):
    (photos / "empty").mkdir()
    with pytest.raises(UserError, match=sentence):
        run(segmenter_run, photos / image)
    assert not (photos.parent / "out").exists()


def test_bad_runs(segmenter_run, photos):
    with pytest.raises(UserError, match="not a run directory"):
        run(photos, photos)
    with pytest.raises(UserError, match=r"--out: .*a\.png is a file"):
        run(segmenter_run, photos, out=photos / "a.png" / "out")


def test_photographs_are_never_predictions(segmenter_run, photos, monkeypatch):
    before = {file: file.read_bytes() for file in photos.rglob("*") if file.is_file()}
    monkeypatch.chdir(photos)
    (photos.parent / "link").symlink_to(photos)
    for images, out in ((photos, photos), (Path("."), photos.parent / "link"), (photos / "a.png", Path("."))):
        with pytest.raises(UserError, match=r"--out .*(is also the input --images|is one of the images)"):
            run(segmenter_run, images, out=out, overwrite=True)
    assert {file: file.read_bytes() for file in photos.rglob("*") if file.is_file()} == before


def test_predictions_among_the_photographs_are_not_predicted(segmenter_run, photos):
    for _ in range(2):
        run(segmenter_run, photos, out=photos / "masks", overwrite=True)
    assert names(photos / "masks") == {
        f"{name}{suffix}" for name in ("a", "sub/b", "c") for suffix in (".png", ".overlay.jpg")
    }


def test_photographs_in_the_folder_of_predictions_are_not_left_out_unsaid(segmenter_run, photos):
    with pytest.raises(UserError, match=r"--out .*sub: .* contains b\..*, which is not one of their masks"):
        run(segmenter_run, photos, out=photos / "sub", overwrite=True)
    assert names(photos / "sub") == {next(photos.glob("sub/b.*")).name}


@pytest.fixture
def many(tmp_path) -> Path:
    """Eleven images of three sizes, mixed."""
    rng = np.random.default_rng(1)
    (tmp_path / "many").mkdir()
    for i in range(11):
        shape = [(32, 40, 3), (33, 47, 3), (40, 32, 3)][i % 7 % 3]
        Image.fromarray(cv2.blur(rng.integers(0, 256, shape, np.uint8), (5, 5))).save(tmp_path / f"many/{i:02}.png")
    return tmp_path / "many"


def test_batches_predict_as_one_by_one(segmenter_run, many, monkeypatch):
    """Equal but where two logits tie within rounding, which may differ with the number of images in a batch."""
    seen = []
    forward = SegmentationModel.forward

    def watched(self, images):
        seen.append(tuple(images.shape))
        return forward(self, images)

    monkeypatch.setattr(SegmentationModel, "forward", watched)
    outs = {size: many.parent / f"by-{size}" for size in (1, 2, None)}
    for size, out in outs.items():
        run(segmenter_run, many, batch_size=size, out=out)
    sizes = [shape[0] for shape in seen]
    assert sizes == [1] * 11 + [2] * 4 + [1] * 3 + [5, 3, 3]  # there are 5, 3 and 3 of a size
    model, _ = load_segmenter(segmenter_run, "best", torch.device("cpu"))
    for file in sorted(many.iterdir()):
        image = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)[None]
        with torch.inference_mode():
            logits = model(image)[0].double()
        best = logits.max(0).values
        for out in outs.values():
            mask = torch.from_numpy(np.array(Image.open(out / f"{file.stem}.png"))).long()
            assert (best - logits.gather(0, mask[None])[0]).max() <= 1e-4
    assert names(outs[1]) == names(outs[2]) == names(outs[None])


def test_bf16_on_request(segmenter_run, photos, monkeypatch):
    seen = []
    forward = SegmentationModel.forward

    def watched(self, images):
        seen.append(torch.is_autocast_enabled("cpu"))
        return forward(self, images)

    monkeypatch.setattr(SegmentationModel, "forward", watched)
    run(segmenter_run, photos / "a.png", precision="bf16", accelerator="cpu")
    run(segmenter_run, photos / "a.png", precision="fp32", accelerator="cpu", overwrite=True)
    assert seen == [True, False]


def test_broken_images_are_named_one_per_line_in_their_order(segmenter_run, many, capsys):
    for i in (7, 2, 9):
        (many / f"{i:02}.png").write_bytes(b"no image")
    with pytest.raises(UserError, match=r"^3 of 11 images cannot be read, as named above; the others are done$"):
        run(segmenter_run, many)
    lines = capsys.readouterr().err.splitlines()
    assert [Path(line.partition(": ")[0]).name for line in lines[-3:]] == ["02.png", "07.png", "09.png"]
    assert len(names(many.parent / "out")) == 2 * 8


def test_an_interrupt_leaves_whole_files_and_no_thread(segmenter_run, many, monkeypatch):
    calls = []

    def interrupted(self, model, images):
        calls.append(len(images))
        if len(calls) == 4:
            raise KeyboardInterrupt
        return model(images)

    monkeypatch.setattr(Inference, "scores", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(segmenter_run, many, batch_size=1)
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]
    for file in (many.parent / "out").rglob("*"):
        assert file.suffix in (".png", ".jpg")
        Image.open(file).load()


def test_a_file_that_cannot_be_written_leaves_no_part_of_itself(segmenter_run, photos, monkeypatch):
    def full(self, file, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OSError, match="No space left"):
        run(segmenter_run, photos)
    assert names(photos.parent / "out") == set()


def test_a_batch_of_none(segmenter_run, photos):
    with pytest.raises(UserError, match="--batch-size 0"):
        run(segmenter_run, photos, batch_size=0)


def test_16_bit_images_are_read_by_the_bits_of_the_training(segmenter_run, photos):
    """Or by those given; the same as their 8 upper bits, however dark the images at hand are."""
    deep = np.random.default_rng(1).integers(0, 900, (32, 40), np.uint16)
    folders = {name: photos.parent / name for name in ("deep", "eight", "run")}
    shutil.copytree(segmenter_run, folders["run"])
    config = folders["run"] / "config.yaml"
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"data": {"name": "folder", "bits": 12}}))
    for name, values in (("deep", deep), ("eight", (deep >> 4).astype(np.uint8))):
        folders[name].mkdir()
        Image.fromarray(values).save(folders[name] / "a.png")
    masks = {}
    for name, run_folder, source, options in (
        ("kept", folders["run"], "deep", {}),
        ("given", segmenter_run, "deep", {"bits": 12}),
        ("eight", segmenter_run, "eight", {}),
    ):
        run(run_folder, folders[source] / "a.png", out=photos.parent / f"to-{name}", **options)
        masks[name] = np.asarray(Image.open(photos.parent / f"to-{name}/a.png"))
    assert np.array_equal(masks["kept"], masks["eight"])
    assert np.array_equal(masks["given"], masks["eight"])
    with pytest.warns(Remark, match="read as 10-bit"):
        run(segmenter_run, folders["deep"] / "a.png")


def test_too_many_pixels_are_told_with_the_option(segmenter_run, photos, capsys):
    with pytest.raises(UserError, match=r"^1 of 1 image cannot be read"):
        run(segmenter_run, photos / "a.png", max_megapixels=0.001)
    assert re.search(r"a\.png: has 0\.00128 megapixels .*--max-megapixels", capsys.readouterr().err)
