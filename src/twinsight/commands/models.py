"""Models to look into, opened by what stands on the command line."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from twinsight.backbones.backbone import Backbone
from twinsight.backbones.checkpoint import load_whole, read_tensors
from twinsight.backbones.demands import described
from twinsight.backbones.hub import official
from twinsight.backbones.weights import file_and_entry
from twinsight.choices.build import build
from twinsight.commands import setup
from twinsight.config import Pretrain, Segment
from twinsight.errors import UserError
from twinsight.recipe import parse, read
from twinsight.segmentation import SegmentationModel, load_classes

RANDOM = "random:"
"""What stands before a run or a name to say: the same network, untrained."""


@dataclass(frozen=True)
class Opened:
    """A model and what is known of it.

    subjects: the modules that probes can ask, by `probes.probe.Subject`. transform: the views that it was pretrained
    with, None if unknown. run: its directory, where it has one. classes, palette: of its training, empty if it is no
    segmenter.
    """

    name: str
    subjects: dict[str, nn.Module]
    transform: Any = None
    run: Path | None = None
    classes: tuple[str, ...] = ()
    palette: Any = None


def open_model(spec: str, backbone_options: Any, checkpoint: str, device: torch.device) -> Opened:
    """Raises UserError for what is neither a run, nor a weights file, nor a name that timm knows."""
    untrained = spec.startswith(RANDOM)
    if not spec.removeprefix(RANDOM):
        raise UserError(f"--weights '{spec}': names nothing; give a run directory, a weights file or a timm model")
    source = Path(spec.removeprefix(RANDOM))
    name = f"{source.name}, untrained" if untrained else source.name
    if (source / "config.yaml").is_file():
        return open_run(source, name, untrained, checkpoint, device)
    if source.exists() and untrained:
        raise UserError(f"--weights {spec}: name a run directory or a timm model after {RANDOM}")
    if file_and_entry(source)[0].exists():
        return as_backbone(name, open_file(source, backbone_options), device)
    if str(source) in official():
        known = official()[str(source)].backbone
        backbone = build(backbone_options) if backbone_options.name == known else Backbone(known)
        if not untrained:
            setup.load_weights(backbone, source)
        return as_backbone(name, backbone, device)
    if timm.is_model(str(source)) or source.name == "vit-pytorch":
        given = (
            replace(backbone_options, name=str(source)) if backbone_options.name != str(source) else backbone_options
        )
        if not untrained and not hasattr(given, "pretrained"):
            raise UserError(f"--weights {spec}: {source} comes without weights; give {RANDOM}{source}")
        torch.manual_seed(0)
        return as_backbone(name, build(given, **({} if untrained else {"pretrained": True})), device)
    raise UserError(
        f"--weights {spec}: no run directory, no file, and no model that timm knows; check the path or name"
    )


def as_backbone(name: str, backbone: Backbone, device: torch.device, **known: Any) -> Opened:
    backbone = backbone.eval().to(device)
    return Opened(name, {"backbone": backbone, "network": backbone, "method": backbone}, **known)


def open_file(file: Path, backbone_options: Any) -> Backbone:
    """The backbone that the JSON beside the file describes, else --backbone, with the file's weights."""
    backbone = described(file) or build(backbone_options)
    setup.load_weights(backbone, file)
    return backbone


def open_run(run: Path, name: str, untrained: bool, checkpoint: str, device: torch.device) -> Opened:
    tree = read(run / "config.yaml")
    torch.manual_seed(0)  # what an untrained network looks like does not change from call to call
    if "head" in tree:
        classes, palette = load_classes(run / "classes.json")
        if untrained:
            options = parse(Segment, "segment", [], tree, run / "config.yaml")
            options = replace(
                options, weights=None, backbone=replace(options.backbone, **setup.pretrained_off(options.backbone))
            )
            model: SegmentationModel = setup.make_model(options, len(classes)).eval().to(device)
        else:
            model, _ = setup.load_segmenter(run, checkpoint, device)
        subjects = {"segmenter": model, "network": model, "backbone": model.backbone, "method": model.backbone}
        return Opened(name, subjects, None, run, classes, palette)
    options = parse(Pretrain, "pretrain", [], tree, run / "config.yaml")
    backbone = build(options.backbone, **setup.pretrained_off(options.backbone))
    method = build(options.method, backbone)
    if not untrained:
        last = run / "checkpoints" / "last.ckpt"
        if last.is_file():
            state = {k.removeprefix("method."): v for k, v in read_tensors(last).items() if k.startswith("method.")}
            load_whole(method, state, last)
        setup.load_weights(backbone, run)
    method = method.eval().to(device)
    subjects = {"method": method, "backbone": method.trunk, "network": method.trunk}
    return Opened(name, subjects, method.views(), run)
