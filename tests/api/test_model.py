"""Networks opened from Python."""

from itertools import count, islice

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

import twinsight
from twinsight.api.batches import neighbors
from twinsight.commands import predict
from twinsight.options.commands import Predict

pytest_plugins = ("tiny_runs",)

RNG = np.random.default_rng(0)


def photo(height: int, width: int) -> np.ndarray:
    return cv2.blur(RNG.integers(0, 256, (height, width, 3), np.uint8), (5, 5))


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for name, size in {"a": (33, 47), "b": (40, 32), "c": (33, 47), "d": (40, 32), "e": (64, 65)}.items():
        Image.fromarray(photo(*size)).save(folder / f"{name}.png")
    return folder


@pytest.mark.parametrize("options", [{}, {"flip": True, "scales": (0.5, 1.0)}, {"window": 24}, {"precision": "bf16"}])
def test_predictions_are_those_of_the_command_to_the_pixel(segmenter, segmented, photos, folder, options):
    predict.run(Predict(run=segmented.folder, images=(photos,), out=folder, accelerator="cpu", **options))
    data = twinsight.Dataset.open(photos, split="all")
    found = segmenter.predict(data, **options)
    assert [prediction.name for prediction in found] == list("abcde")
    for prediction in found:
        with Image.open(folder / f"{prediction.name}.png") as expected:
            assert np.array_equal(prediction.mask, expected)
        assert prediction.save(folder / "again").read_bytes() == (folder / f"{prediction.name}.png").read_bytes()
        overlay = f"{prediction.name}.overlay.jpg"
        assert (folder / "again" / overlay).read_bytes() == (folder / overlay).read_bytes()


def test_one_image_however_it_comes(segmenter, photos):
    file = photos / "a.png"
    one = segmenter.predict(file)
    pixels = np.asarray(Image.open(file))
    for image in (str(file), Image.open(file), pixels, torch.from_numpy(pixels).permute(2, 0, 1)):
        assert np.array_equal(segmenter.predict(image).mask, one.mask)
    for several in ([file, pixels], np.stack([pixels, pixels]), torch.from_numpy(pixels).permute(2, 0, 1)[None]):
        assert np.array_equal(segmenter.predict(several)[0].mask, one.mask)


def test_mask_and_confidence_are_of_the_softmax(segmenter, photos):
    found = segmenter.predict(photos / "b.png", precision="fp32")
    image = torch.from_numpy(np.asarray(Image.open(photos / "b.png"))).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = segmenter.module(image).double().softmax(1)[0]
    assert found.mask.dtype == np.uint8
    assert found.confidence.dtype == np.float32
    assert np.array_equal(found.mask, expected.argmax(0))
    assert np.allclose(found.confidence, expected.amax(0), atol=1e-6)
    assert found.mask.shape == found.confidence.shape == found.overlay.size[::-1] == (40, 32)
    assert sum(found.shares.values()) == pytest.approx(1)


def test_a_stream_is_predicted_as_it_comes(segmenter):
    asked = []

    def frames():
        for i in count():
            asked.append(i)
            yield photo(33, 47)

    found = list(islice(segmenter.predict(frames(), batch_size=1), 3))
    assert [prediction.mask.shape for prediction in found] == [(33, 47)] * 3
    assert asked == [0, 1, 2]
    assert next(segmenter.embed(frames(), batch_size=1)).shape == (segmenter.dim,)
    assert next(segmenter.features(iter([photo(64, 96)]))).shape == (96, 2, 3)


def test_what_a_notebook_shows(segmenter, photos):
    found = segmenter.predict(photos / "e.png")
    html = found._repr_html_()
    assert html.count("<img") == 2
    assert all(name in html for name in found.shares)


def test_predictions_are_not_overwritten(segmenter, photos, folder):
    found = segmenter.predict(photos / "a.png")
    found.save(folder)
    with pytest.raises(twinsight.UserError, match=r"a.png: exists; .*overwrite=True"):
        found.save(folder)
    found.save(str(folder), overwrite=True)
    with pytest.raises(twinsight.UserError, match=r"a.png: is a file, not a folder"):
        found.save(folder / "a.png")


def test_embeddings(segmenter, vit, photos):
    for model in (segmenter, vit):
        found = model.embed(photos, size=None)
        images = [torch.from_numpy(np.asarray(Image.open(file))).permute(2, 0, 1) for file in sorted(photos.iterdir())]
        with torch.no_grad():
            expected = torch.cat([model.backbone(image[None]) for image in images])
        assert found.shape == (5, model.dim)
        assert torch.allclose(found, expected, atol=1e-5)
    assert segmenter.embed(photo(20, 21)).shape == (1, segmenter.dim)
    linear = torch.nn.Linear(vit.dim, 2)
    linear(vit.embed(photos)).sum().backward()  # no tensors of inference mode


def test_maps_and_attention(vit):
    batch = torch.from_numpy(photo(64, 96)).permute(2, 0, 1)[None].repeat(3, 1, 1, 1)
    with torch.no_grad():
        expected = vit.backbone.features(batch, (-1,), (0,))
    assert torch.allclose(vit.features(batch), expected.maps[0], atol=1e-5)
    attention = vit.attention(batch, block=0)
    assert torch.allclose(attention, expected.attention[0], atol=1e-5)
    assert attention.shape[0] == 3
    assert (attention.sum((2, 3)) <= 1 + 1e-5).all()
    assert not torch.equal(vit.attention(batch, block=0, at=(0.5, 0.5)), attention)


def test_large_images_are_shrunk(vit):
    image = photo(480 * 2, 490 * 2)
    assert vit.features(image, batch_size=1).shape == vit.features(image, size=480).shape
    assert vit.embed(image).shape == (1, vit.dim)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda model, _: model.predict(photo(32, 32)), "untrained: is a backbone and predicts no classes"),
        (lambda model, _: model.features([photo(32, 32), photo(64, 32)]), "their sizes differ and so do these maps"),
        (lambda model, _: model.embed([]), "images: the list is empty"),
        (lambda _, segmenter: segmenter.attention(photo(32, 32)), "has no attention to record"),
        (lambda _, segmenter: segmenter.predict("."), r"is a folder; .*Dataset.open\('.', split='all'\)"),
        (lambda _, segmenter: segmenter.predict(photo(8, 8), overlap=2), "^overlap=2.*: must be"),
        (lambda _, segmenter: segmenter.predict(photo(8, 8), windw=2), "windw.*did you mean window"),
        (lambda *_: twinsight.load("no/such"), "^source='no/such': not a run directory, a file"),
        (lambda *_: twinsight.load(None), "^source: NoneType is not a model"),
        (lambda *_: twinsight.load("random:test_vit", device="gpu"), "^device='?gpu'?: this machine has none"),
        (lambda *_: twinsight.load("random:test_vit", device="quantum"), "^device='?quantum'?: is not a device"),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_refused(vit, segmenter, call, sentence):
    with pytest.raises(twinsight.UserError, match=sentence):
        call(vit, segmenter)


def test_a_weights_file_tells_its_network(pretrained, folder):
    run, file = twinsight.load(pretrained, device="cpu"), twinsight.load(pretrained.weights, device="cpu")
    image = photo(40, 40)
    assert torch.equal(run.embed(image), file.embed(image))
    (folder / "x.pth").write_bytes(b"nonsense")
    with pytest.raises(twinsight.UserError, match=r"x.pth"):
        twinsight.load(folder / "x.pth")


def test_loading_leaves_the_random_numbers_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    twinsight.load("random:test_vit", device="cpu")
    assert torch.equal(torch.rand(2), expected)


def test_neighbors_keep_the_order():
    items = [1, 1, 1, 2, 1, 1, 1, 1]
    found = list(neighbors(items, lambda item: item, lambda _: 2))
    assert found == [[1, 1], [1], [2], [1, 1], [1, 1]]
