"""EoMT: equal to the public model from the same weights, on every plain ViT, in training and after."""

import re

import pytest
import torch
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.data.shapes import Shapes
from twinsight.errors import UserError
from twinsight.heads.eomt import Eomt
from twinsight.heads.setr import SetrPup
from twinsight.segmentation.model import SegmentationModel
from twinsight.training.blocks import checkpoint_blocks

CLASSES, QUERIES = 3, 5
SMALL = {"embed_dim": 32, "depth": 4, "num_heads": 2}
PLAIN = {
    "registers": ("vit_base_patch16_reg4_gap_256", SMALL | {"img_size": 32}),
    "no-prefix": ("vit_medium_patch16_gap_240", SMALL | {"img_size": 32}),
    "rotary": ("vit_small_patch16_dinov3", SMALL | {"img_size": 32}),
    "patch8": ("vit_small_patch8_224", SMALL | {"img_size": 32}),
    "patch14": ("vit_small_patch14_reg4_dinov2", SMALL | {"img_size": 28}),
}


def make(name: str = "registers", blocks: int = 2, **options) -> SegmentationModel:
    torch.manual_seed(0)
    backbone = Backbone(PLAIN[name][0], **PLAIN[name][1])
    head = Eomt(backbone.dims, backbone.strides, CLASSES, queries=QUERIES, blocks=blocks, points=64, **options)
    return SegmentationModel(backbone, head)


RENAMED = (
    (r"^embeddings\.register_tokens", "backbone.network.reg_token"),
    (r"^embeddings\.patch_embeddings\.(projection\.)?", "backbone.network.patch_embed.proj."),
    (r"^embeddings\.cls_token", "backbone.network.cls_token"),
    (r"^layernorm\.", "backbone.network.norm."),
    (r"^layers\.(\d+)\.attention\.(out|o)_proj", r"backbone.network.blocks.\1.attn.proj"),
    (r"^layers\.(\d+)\.mlp\.up_proj", r"backbone.network.blocks.\1.mlp.fc1"),
    (r"^layers\.(\d+)\.mlp\.down_proj", r"backbone.network.blocks.\1.mlp.fc2"),
    (r"^layers\.", "backbone.network.blocks."),
    (r"^query\.weight", "head.queries"),
    (r"^class_predictor", "head.classifier"),
    (r"^mask_head\.fc1", "head.mask.0"),
    (r"^mask_head\.fc2", "head.mask.2"),
    (r"^mask_head\.fc3", "head.mask.4"),
    (r"^upscale_block\.block\.(\d+)\.conv1", r"head.upscale.\1.0"),
    (r"^upscale_block\.block\.(\d+)\.conv2", r"head.upscale.\1.2"),
    (r"^upscale_block\.block\.(\d+)\.layernorm2d", r"head.upscale.\1.3"),
    (r"^attn_mask_probs", "head.probabilities"),
)
"""From transformers' names to ours, of all weights but positions, attention and the scales of layers."""


def ours_from_theirs(theirs: nn.Module, model: SegmentationModel, scale: str) -> None:
    """Copies all weights; a weight of either that the other lacks raises. scale: our name of a layer's scales."""
    state = theirs.state_dict()
    del state["criterion.empty_weight"]
    mapped: dict[str, torch.Tensor] = {}
    if "embeddings.position_embeddings.weight" in state:
        mapped["backbone.network.pos_embed"] = state.pop("embeddings.position_embeddings.weight")[None]
    for index in range(len(theirs.layers)):
        for number in "12":
            value = state.pop(f"layers.{index}.layer_scale{number}.lambda1")
            mapped[f"backbone.network.blocks.{index}.{scale.format(number)}"] = value
        for kind in ("weight", "bias"):
            names = [f"layers.{index}.attention.{part}_proj.{kind}" for part in "qkv"]
            if names[0] in state:
                mapped[f"backbone.network.blocks.{index}.attn.qkv.{kind}"] = torch.cat([state.pop(n) for n in names])
    for name, value in state.items():
        pattern, new = next((pattern, new) for pattern, new in RENAMED if re.search(pattern, name))
        mapped[re.sub(pattern, new, name)] = value
    model.load_state_dict(mapped)


@pytest.fixture
def same_points(monkeypatch):
    """Every image and mask gets the same random points, whoever asks first."""
    original = torch.rand

    def rand(*shape: int, device=None, dtype=None):
        generator = torch.Generator().manual_seed(shape[-2])
        points = original(shape[-2:], generator=generator, dtype=dtype)
        return points.expand(shape).contiguous()

    return lambda: monkeypatch.setattr(torch, "rand", rand)


SHARED = {
    "hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2, "image_size": 64, "patch_size": 16,
    "num_queries": QUERIES, "num_blocks": 2, "num_upscale_blocks": 2, "num_labels": CLASSES, "train_num_points": 64,
    "num_register_tokens": 4, "layerscale_value": 0.5,
}  # fmt: skip


def theirs_and_ours(kind: str) -> tuple[nn.Module, SegmentationModel, str]:
    """A network of transformers, one of the same shape here, and ours' name of a layer's scales."""
    transformers = pytest.importorskip("transformers")
    if kind == "Eomt":
        changes, scale = {}, "ls{}.gamma"
        more = {"class_token": True, "global_pool": "token", "fc_norm": False}
        name = "vit_base_patch16_reg4_gap_256"
    else:
        changes, scale, more = {"query_bias": False, "value_bias": False, "intermediate_size": 128}, "gamma_{}", {}
        changes |= {"layer_norm_eps": 1e-5, "pos_embed_rescale": None}  # rescaling is random, in training
        name = "vit_small_patch16_dinov3"
    theirs = getattr(transformers, f"{kind}ForUniversalSegmentation")(
        getattr(transformers, f"{kind}Config")(**SHARED | changes)
    )
    backbone = Backbone(name, **SMALL, img_size=64, init_values=0.5, **more)
    head = Eomt(backbone.dims, backbone.strides, CLASSES, QUERIES, 2, 64)
    return theirs, SegmentationModel(backbone, head), scale


@pytest.mark.parametrize("masking", [(1.0, 1.0), (0.0, 0.0), (0.0, 1.0)])
@pytest.mark.parametrize("kind", ["Eomt", "EomtDinov3"])
def test_equals_transformers(kind, masking, same_points):
    torch.manual_seed(0)
    theirs, model, scale = theirs_and_ours(kind)
    backbone = model.backbone
    for parameter in theirs.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    theirs.attn_mask_probs.copy_(torch.tensor(masking))
    ours_from_theirs(theirs, model, scale)
    images = torch.rand(2, 3, 64, 64)
    target = torch.randint(0, CLASSES, (2, 8, 8)).repeat_interleave(8, 1).repeat_interleave(8, 2)
    labels = [each.unique() for each in target]
    masks = [(each == classes[:, None, None]).float() for each, classes in zip(target, labels)]
    said: list[tuple] = []
    predict = theirs.predict
    theirs.predict = lambda tokens: said.append(predict(tokens)) or said[-1]
    same_points()
    for training in (True, False):
        said.clear()
        model.train(training), theirs.train(training)
        expected = theirs(backbone.normalize(images), mask_labels=masks, class_labels=labels)
        found = model.head(backbone.before_last(images, 2))
        assert len(found) == len(said) == 1 + (2 if training else sum(masking))
        for mine, (their_masks, their_classes) in zip(found, said):
            torch.testing.assert_close(mine.masks, their_masks, atol=1e-4, rtol=1e-4)
            torch.testing.assert_close(mine.classes, their_classes, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(model.head.loss(found, target), expected.loss, atol=1e-4, rtol=1e-5)
    model.zero_grad(), theirs.zero_grad()
    (loss,) = model.losses(images, target, torch.nn.functional.cross_entropy)
    loss.backward()
    expected.loss.backward()
    torch.testing.assert_close(model.head.queries.grad, theirs.query.weight.grad, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", PLAIN)
def test_trains_and_predicts_on_every_plain_vit_at_odd_sizes(name):
    model = make(name)
    images, masks = torch.rand(2, 3, 45, 51), torch.randint(0, CLASSES, (2, 45, 51))
    masks[0, :20] = 255
    (loss,) = model.losses(images, masks, lambda *_: pytest.fail("the head has a loss of its own"))
    loss.backward()
    missing = [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert all(".fc_norm." in name or ".attn_pool." in name for name in missing), missing
    model.eval()
    logits = model(images)
    assert logits.shape == (2, CLASSES, 45, 51)
    assert torch.equal(logits, model(images))  # nothing random
    probabilities = model.head.logits(model.head(model.backbone.before_last(images, 2))).exp()
    assert (probabilities > 0).all()


@pytest.mark.parametrize("name", ["registers", "rotary", "no-prefix"])
@torch.no_grad()
def test_the_last_blocks_are_the_backbones_own(name):
    """Run without queries, they give what the backbone gives; queries nobody may look at change nothing."""
    backbone = make(name).eval().backbone
    images = torch.rand(2, 3, 48, 35)
    for count in (1, 3):
        last = backbone.before_last(images, count)
        tokens, more = last.tokens, torch.cat([last.tokens, torch.randn(2, 2, 32)], dim=1)
        looks = torch.ones(2, 1, more.shape[1], more.shape[1], dtype=torch.bool)
        looks[:, :, :-2, -2:] = False
        for block in last.blocks:
            tokens, more = block(tokens, None), block(more, looks)
        expected = backbone.network.forward_features(backbone.normalize(images))
        torch.testing.assert_close(last.norm(tokens), expected)
        torch.testing.assert_close(last.norm(more)[:, :-2], expected)
        assert last.grid == (3, 3)


@torch.no_grad()
def test_a_masked_query_does_not_see_the_patches_outside():
    head = make().head.train()
    last = make().backbone.before_last(torch.rand(1, 3, 32, 32), 2)
    masks = torch.full((1, QUERIES, 8, 8), -1.0)
    masks[0, 0, :4, 4:] = 1.0  # query 0: the upper right quarter
    prefix, patches = last.prefix, last.tokens.shape[1] - last.prefix
    looks = head.attention_mask(masks, last, 1.0)[0, 0]
    assert looks[: prefix + patches].all()
    assert looks[-QUERIES:, :prefix].all()
    assert looks[-QUERIES:, -QUERIES:].all()
    assert looks[-QUERIES:, prefix:-QUERIES].tolist() == [[False, True, False, False]] + [[False] * 4] * (QUERIES - 1)
    free = torch.stack([head.attention_mask(masks, last, 0.3)[0, 0, -1, prefix] for _ in range(400)])
    assert 0.6 < free.float().mean() < 0.8
    head.eval()
    assert not head.attention_mask(masks, last, 0.6)[0, 0, -1, prefix]  # eval repeats


def test_masks_are_annealed_block_by_block():
    """The authors' steps: Cityscapes with 3 blocks in 19,902 steps, ADE20K with 4 in 39,120."""
    for steps, begins, ends in (
        (19902, (3317, 8292, 13268), (6634, 11609, 16585)),
        (39120, (6520, 13040, 19560, 26080), (13040, 19560, 26080, 32600)),
    ):
        head = Eomt((8,) * 12, (16,) * 12, 2, queries=1, blocks=len(begins))
        assert head.probabilities.tolist() == [1.0] * len(begins)
        for step in (0, 4000, 8000, 12000, 14000, 18000, 25000, steps):
            head.after_step(min(1.0, step / steps))
            done = [min(1, max(0, (step - begin) / (end - begin))) for begin, end in zip(begins, ends)]
            assert head.probabilities.tolist() == pytest.approx([(1 - each) ** 0.9 for each in done], abs=2e-3)


@torch.no_grad()
def test_a_finished_network_predicts_once_and_masks_nothing(monkeypatch):
    model = make().eval()
    images = torch.rand(1, 3, 32, 32)
    last = model.backbone.before_last(images, 2)
    assert len(model.head(last)) == 3
    model.head.after_step(1.0)
    monkeypatch.setattr(Eomt, "attention_mask", None)
    assert len(model.head(last)) == 1
    again = make().eval()
    again.load_state_dict(model.state_dict())  # what a file holds
    assert torch.equal(again(images), model(images))


def test_learns_and_keeps_what_it_learned_without_masks():
    torch.manual_seed(0)
    data = Shapes(count=4, size=64)
    samples = [data[index] for index in range(4)]
    images = torch.stack([torch.from_numpy(sample.image).permute(2, 0, 1) for sample in samples])
    target = torch.stack([torch.from_numpy(sample.mask).long() for sample in samples])
    backbone = Backbone("test_vit", img_size=64)
    head = Eomt(backbone.dims, backbone.strides, len(data.classes), queries=16, points=200)
    model = SegmentationModel(backbone, head).train()
    optimizer = torch.optim.AdamW(model.parameters())
    steps = 100
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 1.5e-3 * min(1, (step + 1) / 10) * (1 - step / steps)
        optimizer.zero_grad()
        model.losses(images, target, nn.Module())[0].backward()
        optimizer.step()
        head.after_step(step / steps)
    assert not head.probabilities.any()
    model.eval()
    assert (model(images).argmax(1) == target).float().mean() > 0.9


def test_checkpointing_changes_no_gradient():
    def gradients(checkpointing: bool) -> list[torch.Tensor]:
        model = make("rotary")
        if checkpointing:
            checkpoint_blocks(model.backbone)
        torch.manual_seed(1)
        (loss,) = model.losses(torch.rand(2, 3, 32, 32), torch.randint(0, CLASSES, (2, 32, 32)), nn.Module())
        loss.backward()
        return [parameter.grad for parameter in model.parameters() if parameter.grad is not None]

    for one, other in zip(gradients(False), gradients(True), strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    ("name", "options", "blocks", "message"),
    [
        ("test_resnet", {}, 2, "--backbone test_resnet: is not one of timm's plain vision transformers, "),
        ("vit-pytorch", {"depth": 3, "dim": 8, "heads": 1}, 2, "--backbone vit-pytorch: is not one of timm's plain"),
        ("beit_base_patch16_224", SMALL, 2, "--backbone beit_base_patch16_224: is not one of timm's plain"),
        ("vit_small_patch16_rope_mixed_224", SMALL, 2, "--backbone vit_small_patch16_rope_mixed_224: is not one of"),
        ("test_vit", {}, 6, "--head.blocks 6: test_vit has 6 blocks, .*; give 1 to 5$"),
    ],
)
def test_other_backbones_are_refused(name, options, blocks, message):
    with torch.device("meta"):
        backbone = Backbone(name, **options)
        with pytest.raises(UserError, match=message):
            SegmentationModel(backbone, Eomt(backbone.dims, backbone.strides, CLASSES, blocks=blocks))


def test_an_auxiliary_head_reads_its_own_features():
    model = make()
    aux = SetrPup(model.backbone.dims, model.backbone.strides, CLASSES, channels=8)
    both = SegmentationModel(model.backbone, model.head, aux).eval()
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        logits = both.every_logits(images, both.heads)
        assert torch.equal(logits[0], model.eval()(images))
        assert torch.equal(logits[1], SegmentationModel(model.backbone, aux)(images))
