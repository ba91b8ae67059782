import math
import os

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.sincos import sincos_positions
from twinsight.errors import UserError
from twinsight.methods import mae
from twinsight.methods.mae import MAE
from twinsight.methods.mae_decoder import MAEDecoder
from twinsight.options.build import build
from twinsight.options.methods.mae import CropOptions

VIT = {"img_size": 16, "patch_size": 4, "embed_dim": 12, "depth": 1, "num_heads": 2}
DECODER = {"decoder_width": 8, "decoder_depth": 2, "decoder_heads": 2}
MEAN, STD = (np.float32(each).astype(np.float64) for each in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))


def method(**options):
    torch.manual_seed(0)
    trunk = Backbone("vit_tiny_patch16_224", mean=MEAN.tolist(), std=STD.tolist(), **VIT)
    return MAE(trunk, views=None, **DECODER | options)


def images(count=4, height=14, width=10):
    """Not whole patches: 4 x 3 with the padding. timm resizes positions in float32, unless they are for 16 x 16."""
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, 3, height, width, generator=generator, dtype=torch.float64)


@pytest.fixture(autouse=True)
def drawn(monkeypatch):
    """Each image, whatever the batch that it is in, keeps the same patches: the order of its first pixels."""

    def of(count, patches, kept, device):
        return torch.stack([(torch.arange(kept) * 5 + i * 3) % patches for i in range(count)])

    monkeypatch.setattr(mae, "random_patches", of)


def norm(x, weight, bias):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6) * weight + bias


def attention(x, w_qkv, b_qkv, w, b, heads):
    q, k, v = (x @ part.T + bias for part, bias in zip(np.split(w_qkv, 3), np.split(b_qkv, 3)))
    out = []
    for i in range(heads):
        at = slice(i * x.shape[1] // heads, (i + 1) * x.shape[1] // heads)
        scores = np.exp(q[:, at] @ k[:, at].T / math.sqrt(x.shape[1] // heads))
        out.append(scores / scores.sum(1, keepdims=True) @ v[:, at])
    return np.concatenate(out, 1) @ w.T + b


def decoded(prefix, visible, keep, rows, columns, parameters, depth=2, heads=2):
    """The decoder for one image: (P, dim), (K, dim) -> (rows * columns, pixels)."""
    mask_token, *rest = parameters
    rest = iter(rest)
    w, b = next(rest), next(rest)
    width = len(b)
    tokens = np.tile(mask_token, (rows * columns, 1))
    for token, place in zip(visible, keep):
        tokens[place] = token @ w.T + b
    for i, token in enumerate(tokens):
        row, column = divmod(i, columns)
        quarter = [1 / 10000 ** (j / (width / 4)) for j in range(width // 4)]
        token += [f(place * o) for place in (column, row) for f in (math.sin, math.cos) for o in quarter]
    x = np.concatenate([prefix @ w.T + b, tokens])
    for _ in range(depth):
        w1, b1, w_qkv, b_qkv, w_out, b_out, w2, b2, w_in, b_in, w_back, b_back = (next(rest) for _ in range(12))
        x = x + attention(norm(x, w1, b1), w_qkv, b_qkv, w_out, b_out, heads)
        hidden = norm(x, w2, b2) @ w_in.T + b_in
        x = x + hidden * 0.5 * (1 + np.vectorize(math.erf)(hidden / math.sqrt(2))) @ w_back.T + b_back
    return (norm(x, next(rest), next(rest)) @ next(rest).T + next(rest))[len(prefix) :]


def reference(made, batch, norm_pix=True):
    """The paper's loss, a patch at a time, in float64: its mean over masked patches of all images."""
    parameters = [p.detach().numpy() for p in made.decoder.parameters()]
    rows, columns = -(-batch.shape[2] // 4), -(-batch.shape[3] // 4)
    keep = mae.random_patches(len(batch), rows * columns, rows * columns // 4, None)
    with torch.no_grad():
        seen = made.trunk.tokens(batch, keep=keep)
    losses = []
    for image, prefix, visible, kept in zip(batch.numpy(), seen.prefix.numpy(), seen.patches.numpy(), keep.tolist()):
        pixels = np.zeros((rows * 4, columns * 4, 3))
        pixels[: image.shape[1], : image.shape[2]] = (image.transpose(1, 2, 0) - MEAN) / STD
        found = decoded(prefix, visible, kept, rows, columns, parameters)
        for i in set(range(rows * columns)) - set(kept):
            y, x = (4 * place for place in divmod(i, columns))
            target = pixels[y : y + 4, x : x + 4].flatten()
            if norm_pix:
                target = (target - target.mean()) / np.sqrt(target.var(ddof=1) + 1e-6)
            losses.append(((found[i] - target) ** 2).mean())
    return np.mean(losses)


@pytest.mark.parametrize("norm_pix", [True, False])
def test_loss_equals_the_reference(norm_pix):
    made = method(norm_pix=norm_pix).double()
    out = made([images()], progress=0.0)
    assert set(out) == {"loss", "baseline"}
    assert out["loss"].item() == pytest.approx(reference(made, images(), norm_pix), rel=1e-10)


def test_the_gradient_is_the_slope_of_the_reference():
    made, batch = method().double(), images(height=16, width=16)
    made([batch], 0.0)["loss"].backward()
    generator = torch.Generator().manual_seed(3)
    reached = [p for p in made.parameters() if p.grad is not None]
    assert [name for name, p in made.named_parameters() if p.grad is None] == ["trunk.network.pos_embed"]
    directions = [torch.randn(p.shape, generator=generator, dtype=torch.float64) for p in reached]
    losses = []
    for step in (-2e-7, 2e-7):
        with torch.no_grad():
            for p, d in zip(reached, directions):
                p.add_(d, alpha=step)
        losses.append(reference(made, batch))
        with torch.no_grad():
            for p, d in zip(reached, directions):
                p.sub_(d, alpha=step)
    slope = sum((p.grad * d).sum().item() for p, d in zip(reached, directions))
    assert slope == pytest.approx((losses[1] - losses[0]) / 4e-7, rel=1e-6)


def test_the_encoder_sees_a_quarter():
    made, seen = method().double(), []
    made.trunk.network.blocks[0].register_forward_hook(lambda _, tokens, __: seen.append(tokens[0].shape[1]))
    made([images(height=16, width=16)], 0.0)
    assert seen == [1 + 4]  # the class token and a quarter of 16


def test_baseline_is_the_best_constant():
    made = method().double()
    with torch.no_grad():
        made.decoder.predict.weight.zero_()
        made.decoder.predict.bias.zero_()
    bias = made.decoder.predict.bias
    optimizer = torch.optim.LBFGS([bias], max_iter=50, tolerance_grad=1e-12, tolerance_change=1e-16)

    def closure():
        optimizer.zero_grad()
        loss = made([images()], 0.0)["loss"]
        loss.backward()
        return loss

    optimizer.step(closure)
    out = made([images()], 0.0)
    assert out["loss"].item() == pytest.approx(out["baseline"].item(), rel=1e-9)


def test_float32_under_autocast():
    made = method()
    expected = made([images().float()], 0.0)["loss"]
    with torch.autocast("cpu", torch.bfloat16):
        found = made([images().float()], 0.0)["loss"]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)


def test_bytes_are_the_same_pixels():
    made = method()
    pixels = (images() * 255).round().to(torch.uint8)
    found, expected = (made([each], 0.0)["loss"] for each in (pixels, pixels.float() / 255))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=0)


def test_the_papers_decoder_and_view():
    with torch.device("meta"):
        decoder = MAE(Backbone("vit_base_patch16_224"), build(CropOptions())).decoder
    assert decoder.blocks[0].attn.num_heads == 16
    block = 12 * 512**2 + 13 * 512
    assert sum(p.numel() for p in decoder.parameters()) == 8 * block + (768 + 1 + 1 + 2) * 512 + 513 * 768
    (view,) = build(CropOptions(size=224)).views
    assert (view.size, view.scale, view.flip) == (224, (0.2, 1.0), 0.5)
    assert view.jitter == view.gray == view.blur == view.solarize == view.mix == view.invert == 0
    with pytest.raises(UserError, match=r"--method.decoder-width 10: .* give 16"):
        MAEDecoder(8, 8, width=10, depth=1, heads=8)


@pytest.mark.parametrize(
    ("name", "width", "depth"),
    [
        ("vit_large_patch16_224", 512, 8),
        ("vit_small_patch16_224", 256, 8),
        ("vit_tiny_patch16_224", 128, 8),
        ("test_vit", 64, 4),
    ],
)
def test_a_small_network_has_a_small_decoder(name, width, depth):
    """Of ViT-Ti's decoder, the paper's width would make five times the network."""
    with torch.device("meta"):
        decoder = MAE(Backbone(name), build(CropOptions())).decoder
    assert (decoder.mask_token.shape, len(decoder.blocks)) == ((width,), depth)
    assert decoder.blocks[0].attn.num_heads == width // 32


def test_positions_tell_rows_from_columns():
    positions = sincos_positions(3, 5, 16).unflatten(0, (3, 5))
    torch.testing.assert_close(positions[0, :, :8], positions[2, :, :8])
    torch.testing.assert_close(positions[:, 1, 8:], positions[:, 4, 8:])
    assert len(positions.flatten(0, 1).unique(dim=0)) == 15


def rank_of_two(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    # Spawned, it lacks the fixture: two images, which keep the same patches as the first two of four do.
    mae.random_patches = lambda n, patches, kept, _: torch.stack(
        [(torch.arange(kept) * 5 + (i + 2 * rank) * 3) % patches for i in range(n)]
    )
    model = DistributedDataParallel(method().double())
    model([images(height=16, width=16).chunk(2)[rank]], progress=0.5)["loss"].backward()
    dist.destroy_process_group()
    if rank == 0:
        os._exit(0)  # a thread of gloo's can outlive the interpreter, which then aborts
    return {name: p.grad for name, p in model.module.named_parameters()}


def test_two_processes_are_as_one(tmp_path, monkeypatch):
    made = method().double()
    made([images(height=16, width=16)], 0.5)["loss"].backward()
    other = mp.spawn(rank_of_two, args=(str(tmp_path),), nprocs=1, join=False)  # its rank is 0
    monkeypatch.setattr(mae, "random_patches", None)  # restored afterwards
    gradients = rank_of_two(1, tmp_path)
    other.join()
    for name, parameter in made.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-9, atol=1e-13)


def test_it_learns():
    """Stripes, across or down, of a phase that the visible patches tell: from a loss near 1 to a fraction."""
    made = method(decoder_width=32, decoder_depth=1)
    optimizer = torch.optim.AdamW(made.parameters(), lr=1e-2)
    losses = []
    for _ in range(200):
        phase, place = 2 * math.pi * torch.rand(64, 1), torch.arange(16) * 2 * math.pi / 4
        wave = 0.5 + 0.5 * (place + phase).sin()
        across = (torch.rand(64, 1, 1) < 0.5).float()
        stripes = across * wave[:, :, None] + (1 - across) * wave[:, None, :]
        optimizer.zero_grad()
        out = made([stripes[:, None].expand(-1, 3, -1, -1)], 0.0)
        out["loss"].backward()
        optimizer.step()
        losses.append((out["loss"] / out["baseline"]).item())
    assert losses[0] > 0.9
    assert np.mean(losses[-10:]) < 0.5


def test_equals_the_one_of_transformers(monkeypatch):
    """Its loss and its gradient, from the same weights and masks; its normalization of pixels is outside."""
    transformers = pytest.importorskip("transformers", minversion="5.24")
    config = transformers.ViTMAEConfig(
        hidden_size=12, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48, image_size=16, patch_size=4,
        decoder_hidden_size=8, decoder_num_hidden_layers=2, decoder_num_attention_heads=2,
        decoder_intermediate_size=32, layer_norm_eps=1e-6, norm_pix_loss=True,
    )  # fmt: skip
    theirs, made = transformers.ViTMAEForPreTraining(config).double(), method().double()
    theirs.decoder.initialize_weights(16)  # its positions, which it sets to 0 after it has made them
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter) if parameter.requires_grad else 0)
    state = theirs.state_dict()
    torch.testing.assert_close(state["decoder.decoder_pos_embed"][0, 1:], sincos_positions(4, 4, 8), atol=1e-6, rtol=0)

    def block(name):
        joined = {
            f"attn.qkv.{kind}": torch.cat([state[f"{name}.attention.{part}_proj.{kind}"] for part in "qkv"])
            for kind in ("weight", "bias")
        }
        names = {"attention.o_proj": "attn.proj", "layernorm_before": "norm1", "layernorm_after": "norm2",
                 "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2"}  # fmt: skip
        return joined | {
            f"{ours}.{kind}": state[f"{theirs}.{kind}"]
            for theirs, ours in ((f"{name}.{each}", ours) for each, ours in names.items())
            for kind in ("weight", "bias")
        }

    network, decoder = made.trunk.network, made.decoder
    with torch.no_grad():
        network.cls_token.copy_(state["vit.embeddings.cls_token"])
        network.pos_embed.copy_(state["vit.embeddings.position_embeddings"])
        decoder.mask_token.copy_(state["decoder.mask_token"][0, 0])
    pairs = {
        "vit.embeddings.patch_embeddings.projection": network.patch_embed.proj, "vit.layernorm": network.norm,
        "decoder.decoder_embed": decoder.embed, "decoder.decoder_norm": decoder.norm,
        "decoder.decoder_pred": decoder.predict,
    }  # fmt: skip
    for name, module in pairs.items():
        module.load_state_dict({kind: state[f"{name}.{kind}"] for kind in ("weight", "bias")})
    network.blocks[0].load_state_dict(block("vit.layers.0"))
    for i in range(2):
        decoder.blocks[i].load_state_dict(block(f"decoder.decoder_layers.{i}"))
    batch = images(height=16, width=16)
    noise = torch.rand(4, 16, dtype=torch.float64)
    monkeypatch.setattr(mae, "random_patches", lambda _, __, kept, ___: noise.argsort(1)[:, :kept])
    expected = theirs(made.trunk.normalize(batch), noise=noise).loss
    found = made([batch], 0.0)["loss"]
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=0)  # their positions are float32
    expected.backward()
    found.backward()
    torch.testing.assert_close(decoder.mask_token.grad, theirs.decoder.mask_token.grad[0, 0], rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(
        network.patch_embed.proj.weight.grad, theirs.vit.embeddings.patch_embeddings.projection.weight.grad,
        rtol=1e-6, atol=1e-9,
    )  # fmt: skip
