"""Files of other projects, and the features that the projects' own classes gave for them.

`originals/*.txt` hold, from one run of each project's own class (versions in docs/weights.md): the names and shapes of
its file, the waves that its tensors were filled with (offset, scale, phase; `other` stands for ones), what it computed.
"""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.weights import load_backbone

FILES = sorted((Path(__file__).parent / "originals").glob("*.txt"))


def filled(name: str, shape: tuple[int, ...], how: list[str]) -> Tensor:
    if name.endswith("rope_embed.periods"):
        return 100 ** (torch.arange(shape[0]) / shape[0])
    if name.endswith("bias_mask"):
        return torch.tensor([1.0, 0.0, 1.0]).repeat_interleave(shape[0] // 3)
    tensor = torch.ones(shape)
    if how != ["other"]:
        offset, scale, phase = map(float, how)
        wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 0.7 + phase)
        tensor = (wave * scale + offset).float().reshape(shape)
    return tensor


def numbers(text: str) -> Tensor:
    return torch.tensor([float(value) for value in text.split()])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_features_equal_the_originals(file, tmp_path):
    lines = file.read_text().splitlines()
    head = dict(line[2:].split(" ", 1) for line in lines[1:] if line.startswith("# "))
    content: dict = {}
    for name, shape, *how in (line.split() for line in lines if not line.startswith("#")):
        *entries, name = name.split("/")
        place = content
        for entry in entries:
            place = place.setdefault(entry, {})
        place[name] = filled(name, tuple(int(size) for size in shape.split("x") if size != "-"), how)
    torch.save(content, tmp_path / "w.pth")
    name, options = head["backbone"].split(" ", 1)
    backbone = Backbone(name, **json.loads(options)).eval()
    load_backbone(backbone, tmp_path / "w.pth")
    size = int(head["size"])
    wave = torch.sin(torch.arange(2 * 3 * size * size, dtype=torch.float64) * 0.37)
    images = (0.5 + 0.5 * wave).float().reshape(2, 3, size, size)
    with torch.no_grad():
        found = backbone.features(images, [-1])
    assert torch.allclose(found.embedding[1, :8], numbers(head["embedding"]), atol=1e-4)
    if "map" in head:
        assert torch.allclose(found.maps[0][1, :8, 1, 2], numbers(head["map"]), atol=1e-4)
