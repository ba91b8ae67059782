"""What weights ask of a network beyond their shapes, and the JSON beside them."""

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.demands import described
from twinsight.backbones.weights import load_backbone, save_backbone
from twinsight.errors import UserError


def hugging_face(folder: Path, **files: object) -> Path:
    """A small ViT of 4 heads, under the names of transformers, with its JSON beside it."""
    torch.manual_seed(0)
    width = 16
    names = {
        "embeddings.cls_token": (1, 1, width), "embeddings.position_embeddings": (1, 5, width),
        "embeddings.patch_embeddings.projection.weight": (width, 3, 8, 8),
        "embeddings.patch_embeddings.projection.bias": (width,),
        "layernorm.weight": (width,), "layernorm.bias": (width,),
    }  # fmt: skip
    for part, shape in {
        **{f"attention.{part}_proj": (width, width) for part in "qkvo"}, "mlp.fc1": (64, width), "mlp.fc2": (width, 64),
        "layernorm_before": (width,), "layernorm_after": (width,),
    }.items():  # fmt: skip
        names |= {f"layers.0.{part}.weight": shape, f"layers.0.{part}.bias": shape[:1]}
    save_file({name: torch.randn(shape) for name, shape in names.items()}, folder / "model.safetensors")
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def small_vit(**options) -> Backbone:
    shape = {"img_size": 16, "patch_size": 8, "embed_dim": 16, "depth": 1, "num_heads": 4}
    return Backbone("vit_small_patch16_224.dino", **shape | options)


def test_other_attention_heads_are_refused(tmp_path):
    folder = hugging_face(tmp_path, config={"num_attention_heads": 4})
    load_backbone(small_vit(), folder)
    with pytest.raises(UserError, match=r"trained with 4 attention heads, but .* has 2; give --backbone.num-heads 4"):
        load_backbone(small_vit(num_heads=2), folder)


def test_the_files_own_pixels(tmp_path):
    pixels = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.2], "do_normalize": True}
    folder = hugging_face(tmp_path, preprocessor_config=pixels)
    message = r"with mean 0.500 0.400 0.300, .* give --backbone.mean 0.500 0.400 0.300 --backbone.std 0.200 0.200 0.200"
    with pytest.raises(UserError, match=message):
        load_backbone(small_vit(), folder)
    backbone = small_vit(mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.2))
    assert load_backbone(backbone, folder) == []
    white = backbone.normalize(torch.ones(1, 3, 8, 8))
    assert torch.allclose(white, torch.tensor([2.5, 3.0, 3.5]).view(3, 1, 1).expand(1, 3, 8, 8))
    save_backbone(backbone, tmp_path / "own.safetensors")
    assert json.loads((tmp_path / "own.json").read_text())["options"]["mean"] == [0.5, 0.4, 0.3]


def test_satellite_weights_have_pixels_of_their_own(tmp_path):
    (hugging_face(tmp_path) / "model.safetensors").rename(
        tmp_path / "dinov3_vitl16_pretrain_sat493m-eadcf0ff.safetensors"
    )
    file = tmp_path / "dinov3_vitl16_pretrain_sat493m-eadcf0ff.safetensors"
    with pytest.raises(UserError, match=r"requires pixels normalized with mean 0.430 0.411 0.296"):
        load_backbone(small_vit(), file)
    load_backbone(small_vit(mean=(0.430, 0.411, 0.296), std=(0.213, 0.156, 0.143)), file)


@pytest.mark.parametrize("name", ["vit_large_patch16_dinov3.sat493m", "vit_large_patch16_dinov3.lvd1689m"])
def test_timm_knows_dinov3s_pixels(name):
    config = timm.get_pretrained_cfg(name)
    assert config is not None
    expected = (0.430, 0.411, 0.296) if "sat" in name else (0.485, 0.456, 0.406)
    assert config.mean == expected


# JSON beside the weights


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ('["test_resnet"]', "does not hold a JSON object"),
        ('{"dim": 3}', "does not describe a backbone"),
        ('{"backbone": 3}', "does not describe a backbone"),
        ('{"backbone": "vit-pytorch", "options": ["a"]}', "does not describe a backbone"),
        ('{"backbone": "vit-pytorch", "options": {"depth": 10000000000000}}', "does not describe a backbone"),
        ('{"backbone": "vit-pytorch", "options": {"depth": 1e999}}', "does not describe a backbone"),
        ('{"backbone": "vit-pytorch", "options": {"depth": {"a": 1}}}', "does not describe a backbone"),
        ('{"backbone": "vit-pytorch", "options": {"depht": 1}}', "depht"),
    ],
)  # fmt: skip
def test_a_damaged_description(tmp_path, text, message):
    save_backbone(Backbone("test_resnet"), tmp_path / "w.safetensors")
    (tmp_path / "w.json").write_text(text)
    with pytest.raises(UserError, match=rf"w.json: .*{message}"):
        described(tmp_path / "w.safetensors")
