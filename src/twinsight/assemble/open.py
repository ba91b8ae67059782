"""Models for the probes, opened by their name on the command line."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from twinsight.assemble.checks import refuse_losses, refuse_recording
from twinsight.assemble.networks import RANDOM, check_model, no_model
from twinsight.assemble.trained import incomplete, read_trained
from twinsight.backbones.backbone import Backbone
from twinsight.backbones.checkpoint import load_whole, read_tensors
from twinsight.backbones.demands import described
from twinsight.backbones.hub import official
from twinsight.backbones.integrity import intact
from twinsight.backbones.light_timm import timm
from twinsight.backbones.likely import likely
from twinsight.backbones.sources import file_and_entry
from twinsight.backbones.weights import load_backbone, read_weights
from twinsight.console import tell
from twinsight.device import Device
from twinsight.errors import UserError
from twinsight.heads.head import has_loss, reads_attention
from twinsight.options.auto import AUTO
from twinsight.options.backbones import TimmOptions, VitPytorchOptions
from twinsight.options.build import build
from twinsight.options.commands import Pretrain, Segment
from twinsight.options.config import read
from twinsight.options.heads import FcnOptions
from twinsight.options.lora import LoraOptions
from twinsight.options.methods.untrained import UntrainedOptions
from twinsight.options.parse import parse
from twinsight.probes.probe import Subject
from twinsight.segmentation.classes import load_classes
from twinsight.segmentation.model import SegmentationModel
from twinsight.training.blocks import checkpoint_blocks


@dataclass(frozen=True)
class Opened:
    """A model and what is known about it.

    subjects: the modules for probes, by `probes.probe.Subject`. transform: the views of its pretraining, None if
    unknown. run: its directory, if any. classes, palette: of its training; empty unless it is a segmenter. options:
    those of its run.
    """

    name: str
    subjects: dict[str, nn.Module]
    transform: Any = None
    run: Path | None = None
    classes: tuple[str, ...] = ()
    palette: Any = None
    options: Any = None


def open_model(
    spec: str,
    backbone_options: Any,
    checkpoint: str,
    device: torch.device,
    subject: Subject = "method",
    flag: str = "--weights",
) -> Opened:
    """Open a run, a weights file, official weights or a timm model; random: before a run or a name leaves it untrained.

    subject: what will be asked; only for "method" are the projector and all else of a pretraining loaded.
    backbone_options: for a weights file without a description; None: recognized by the shapes of its tensors. flag: the
    option that names the model. Raises UserError for anything else.
    """
    check_model(spec, flag)
    untrained = spec.startswith(RANDOM)
    source = Path(spec.removeprefix(RANDOM))
    name = f"{source.name}, untrained" if untrained else source.name
    if (source / "config.yaml").is_file():
        return open_run(source, name, untrained, checkpoint, device, subject)
    if file_and_entry(source)[0].exists():
        return as_backbone(name, open_file(source, backbone_options), device)
    if str(source) in official():
        known = official()[str(source)].backbone
        given = backbone_options is not None and backbone_options.name == known
        backbone = build(backbone_options) if given else Backbone(known)
        if not untrained:
            load_weights(backbone, source)
        return as_backbone(name, backbone, device)
    if timm.is_model(str(source)) or source.name == "vit-pytorch":
        named = VitPytorchOptions() if source.name == "vit-pytorch" else TimmOptions(name=str(source))
        given = named if backbone_options is None else backbone_options
        given = given if given.name == str(source) else replace(given, name=str(source))
        if not untrained and not hasattr(given, "pretrained"):
            raise UserError(
                f"{flag} {spec}: {source} has no pretrained weights; give {RANDOM}{source} for an untrained network"
            )
        torch.manual_seed(0)
        return as_backbone(name, build(given, **({} if untrained else {"pretrained": True})), device)
    raise no_model(spec, flag)


def as_backbone(name: str, backbone: Backbone, device: torch.device, **known: Any) -> Opened:
    backbone = backbone.eval().to(device)
    return Opened(name, {"backbone": backbone, "network": backbone, "method": backbone}, **known)


def open_file(file: Path, backbone_options: Any) -> Backbone:
    """The backbone described by the JSON file next to it, else by --backbone, with the file's weights."""
    backbone = described(file) or (build(backbone_options) if backbone_options is not None else recognized(file))
    load_weights(backbone, file)
    return backbone


def recognized(file: Path) -> Backbone:
    """The network that a file's tensors belong to. Raises UserError if their shapes do not determine it."""
    weights = read_weights(file)
    name = weights.backbone or likely(weights.content)
    if name is None:
        raise UserError(f"{file}: does not say which network it belongs to; give --backbone, the name of a timm model")
    return Backbone(name)


def open_run(run: Path, name: str, untrained: bool, checkpoint: str, device: torch.device, subject: Subject) -> Opened:
    tree = read(run / "config.yaml")
    torch.manual_seed(0)  # an untrained network is the same in every call
    if "head" in tree:
        classes, palette = load_classes(run / "classes.json")
        if untrained:
            options = parse(Segment, "segment", [], tree, run / "config.yaml")
            model: SegmentationModel = make_model(without_training(options), len(classes), True).eval().to(device)
        else:
            model, options = load_segmenter(run, checkpoint, device)
        subjects: dict[str, nn.Module] = {
            "segmenter": model,
            "network": model,
            "backbone": model.backbone,
            "method": model.backbone,
        }
        return Opened(name, subjects, None, run, classes, palette, options)
    options = parse(Pretrain, "pretrain", [], tree, run / "config.yaml")
    backbone = build(options.backbone, **pretrained_off(options.backbone))
    alone = isinstance(options.method, UntrainedOptions)
    if subject != "method" or alone or options.method.given:  # such as a teacher, which need not be here any more
        if not untrained:
            load_weights(backbone, run)
        views = build(options.method.views) if subject == "method" and not alone else None
        return as_backbone(name, backbone, device, transform=views, run=run, options=options)
    method = build(options.method, backbone)
    if not untrained:
        last = run / "checkpoints" / "last.ckpt"
        if last.is_file():
            state = {k.removeprefix("method."): v for k, v in read_tensors(last).items() if k.startswith("method.")}
            load_whole(method, state, last)
        load_weights(backbone, run)
    method = method.eval().to(device)
    subjects = {"method": method, "backbone": method.trunk, "network": method.trunk}
    return Opened(name, subjects, method.views(), run, options=options)


def make_backbone(options: Any, weights: Path | None, empty: bool = False) -> Backbone:
    """The backbone with the weights to start from.

    empty: without them, since a checkpoint has all weights even if the initial file is gone.
    """
    backbone = build(options, **(pretrained_off(options) if empty else {}))
    if weights is not None and not empty:
        load_weights(backbone, weights)
    return backbone


def load_weights(backbone: Backbone, weights: Path) -> None:
    """Load a run, a file or official weights; reports anything not loaded as is."""
    for remark in load_backbone(backbone, weights):
        tell(remark)


def load_segmenter(run: Path, checkpoint: str, device: torch.device) -> tuple[SegmentationModel, Segment]:
    """The model of a `twinsight segment` run, ready to predict, and the options it was trained with."""
    options, file, classes, _ = read_trained(run, checkpoint)
    if checkpoint == "best" and not intact(file):
        raise incomplete(run, file)
    model = make_model(without_training(options), len(classes), empty=True)
    state = read_tensors(file)
    prefix = "model." if checkpoint == "last" else ""
    state = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
    load_whole(model, build(options.lora).merged(state), file)
    model.backbone.weights = str(run)
    return model.eval().to(device), options


def without_training(options: Segment) -> Segment:
    """The options of the same segmenter without what only its training needs."""
    return replace(options, checkpointing=False, compile=False, lora=LoraOptions())


def segmenting_precision(asked: str | None, trained: Segment, device: Device) -> str:
    """The precision to segment with: as requested, else that of the run's training and validation."""
    return device.precision(asked or trained.precision)


def pretrained_off(backbone: Any) -> dict[str, bool]:
    """No download of timm's weights, which the run's own would replace."""
    return {"pretrained": False} if hasattr(backbone, "pretrained") else {}


def make_model(options: Segment, num_classes: int, empty: bool = False) -> SegmentationModel:
    """empty: see `make_backbone`. Raises UserError if the parts do not fit together."""
    backbone = make_backbone(options.backbone, options.weights, empty)
    if options.checkpointing:
        checkpoint_blocks(backbone)
    if options.freeze not in (0, AUTO):
        backbone.freeze(options.freeze)
    shape = (backbone.dims, backbone.strides, num_classes)
    aux = None
    if options.aux_weight:
        # The second-to-last stage of a pyramid, two thirds of the depth of a ViT.
        pyramid = len(set(backbone.strides)) > 1
        level = len(backbone.dims) - 2 if pyramid else len(backbone.dims) * 2 // 3 - 1
        aux = build(FcnOptions(level=max(0, level)), *shape)
    model = SegmentationModel(backbone, build(options.head, *shape), aux)
    if options.lora.rank:
        build(options.lora).add(backbone)
    if reads_attention(model.head):
        refuse_recording(options)
    if has_loss(model.head):
        refuse_losses(options)
    return model
