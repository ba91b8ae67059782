"""Random lists, names, masks and weights: each is read for what it is, or refused in a sentence."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save_file

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.weights import load_backbone
from twinsight.data.folder import Folder
from twinsight.data.samples import VOID
from twinsight.data.shapes import Shapes, write
from twinsight.errors import UserError

FEW = settings(max_examples=25, deadline=None)
LINES = st.binary(max_size=80) | st.lists(st.sampled_from(["train_000000", "val_000001", "..", "/", "é", ""])).map(
    lambda names: "\n".join(names).encode()
)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("scenes") / "shapes"
    write(folder, Shapes("train", 2, 32), Shapes("val", 2, 32))
    return folder


def opened(folder: Path) -> Folder | None:
    """The data set, or nothing where it is refused."""
    try:
        return Folder(folder)
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017 (either outcome is right)
        return None


@FEW
@given(content=LINES)
def test_split_files(scenes, content):
    file = scenes / "ImageSets/Segmentation/train.txt"
    before = file.read_bytes()
    file.write_bytes(content)
    data = opened(scenes)
    file.write_bytes(before)
    for entry in data.entries if data else ():
        assert entry.image.resolve().is_relative_to(scenes.resolve())


@FEW
@given(content=LINES)
def test_classes_files(scenes, content):
    file = scenes / "classes.txt"
    before = file.read_bytes()
    file.write_bytes(content)
    data = opened(scenes)
    file.write_bytes(before)
    if data is not None:
        assert list(data.classes) == [line.strip() for line in content.decode("utf-8-sig").splitlines() if line.strip()]


@FEW
@given(values=st.lists(st.integers(0, 65535), min_size=1, max_size=4), kind=st.sampled_from(["L", "I;16", "P", "1"]))
def test_masks(scenes, values, kind):
    file = scenes / "SegmentationClass/train_000000.png"
    before = file.read_bytes()
    pixels = np.resize(np.array(values), (32, 32)).astype(np.uint16 if kind == "I;16" else np.uint8)
    if kind == "1":
        pixels = pixels % 2
    image = Image.fromarray(pixels * 255).convert("1") if kind == "1" else Image.fromarray(pixels)
    if kind == "P":
        image.putpalette(bytes(768))
    image.save(file)
    data = Folder(scenes)
    try:
        mask = data[0].mask
    except UserError as error:
        assert file.name in str(error)  # noqa: PT017 (either outcome is right)
        assert ((pixels >= len(data.classes)) & (pixels != VOID)).any()
    else:
        assert np.array_equal(mask, pixels)
    finally:
        file.write_bytes(before)


NAMES = st.sampled_from(
    ["conv1.weight", "model.conv1.weight", "module.layer1.0.conv1.weight", "cls_token", "teacher", "0", "", "é"]
)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    return Backbone("test_resnet")


@FEW
@given(
    shapes=st.dictionaries(NAMES, st.lists(st.integers(0, 5), max_size=4), max_size=6),
    kind=st.sampled_from(["safetensors", "pth"]),
)
def test_weights(backbone, tmp_path_factory, shapes, kind):
    """No random tensors are those of a network, whatever their names: they are refused, and change nothing."""
    folder = tmp_path_factory.mktemp("weights")
    tensors = {name: torch.zeros(shape) for name, shape in shapes.items()}
    file = folder / f"w.{kind}"
    save_file(tensors, file) if kind == "safetensors" else torch.save(tensors, file)
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    with pytest.raises(UserError, match=r"w\."):
        load_backbone(backbone, file)
    assert all(torch.equal(before[name], tensor) for name, tensor in backbone.state_dict().items())
    shutil.rmtree(folder)
