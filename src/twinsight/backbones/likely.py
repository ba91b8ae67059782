"""Guesses the network that a file's tensors belong to."""

from twinsight.backbones.layouts import Content
from twinsight.backbones.light_timm import timm
from twinsight.backbones.parts import by_part, parameters, part_of

WIDTHS = {192: "tiny", 384: "small", 768: "base", 1024: "large", 1280: "huge", 4096: "7b"}
"""Sizes of timm's ViTs, by width."""

RESNETS = {
    11_176_512: "resnet18", 21_284_672: "resnet34", 23_508_032: "resnet50", 42_500_160: "resnet101",
    58_143_808: "resnet152", 22_979_904: "resnext50_32x4d", 86_742_336: "resnext101_32x8d",
    81_406_272: "resnext101_64x4d", 66_834_240: "wide_resnet50_2", 124_837_696: "wide_resnet101_2",
}  # fmt: skip
"""By number of parameters; timm and torchvision use the same names for models and tensors."""


CONVNEXTS = {
    (96, 18): "convnext_tiny", (96, 36): "convnext_small", (128, 36): "convnext_base", (192, 36): "convnext_large",
}  # fmt: skip
"""By the width of the stem and the number of blocks."""


def likely(content: Content) -> str | None:
    """The timm model that the tensors belong to, if it is a ViT, ResNet or ConvNeXt of a usual size.

    A ViT without a classifier is assumed to be DINO's, which sets its pixel mean and standard deviation.
    """
    tensors = {name: tensor for name, tensor in content.tensors.items() if part_of(name) is None}
    if "layer1.0.conv1.weight" in tensors:
        return RESNETS.get(parameters(tensors))
    if "stages.0.blocks.0.conv_dw.weight" in tensors:
        width, depth = len(tensors["stem.0.weight"]), sum(name.endswith(".conv_dw.weight") for name in tensors)
        return CONVNEXTS.get((width, depth))
    if "blocks.0.attn.qkv.weight" not in tensors or "patch_embed.proj.weight" not in tensors:
        return None
    kernel = tensors["patch_embed.proj.weight"].shape
    name = f"vit_{WIDTHS.get(kernel[0])}"
    if "blocks.0.gamma_1" in tensors:
        plus = "_plus" if "blocks.0.mlp.fc1_g.weight" in tensors and kernel[0] < 4096 else ""
        biased = any(tensor.any() for key, tensor in tensors.items() if key.endswith(".attn.q_bias"))
        return existing(f"{name}{plus}_patch{kernel[-1]}_dinov3{'_qkvb' if biased else ''}")
    name += f"_patch{kernel[-1]}"
    if "blocks.0.ls1.gamma" in tensors:
        return existing(name + ("_reg4_dinov2" if "reg_token" in tensors else "_dinov2"))
    classified = any("classifier" in part or "pooler" in part for part in [*content.beside, *by_part(content.tensors)])
    names = [f"{name}_224"] if classified else [f"{name}_224.dino", f"{name}_224"]
    return next((found for n in names for found in timm.list_models(n) + timm.list_pretrained(n)), None)


def existing(name: str) -> str | None:
    return name if timm.is_model(name) else None
