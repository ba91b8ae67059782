"""The keywords of the Python functions: written by `make stubs` from the commands' options, not by hand."""

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, Literal, TypeAlias, TypedDict

from twinsight.options.build import Buildable

File: TypeAlias = str | PathLike[str]
Section: TypeAlias = Mapping[str, Any] | Buildable
"""Options that belong together: {"size": 224}."""
Choice: TypeAlias = File | Section | type[Any]
"""What is chosen by name: "dino", {"name": "dino", "dim": 4096}, or a class or a Python file of one's own."""


class PretrainKeywords(TypedDict, total=False):
    """Options of `twinsight.pretrain`."""

    epochs: int
    max_minutes: float | None
    """Stop and save after so many minutes, to be resumed; schedules still count on all epochs."""
    checkpoint_minutes: float
    """Save at least every so many minutes within an epoch; the first step and the end of an epoch save too."""
    batch_size: int
    """Images per step and process."""
    accumulate: int
    """Steps whose gradients are added up before one update; a loss still sees one step's batch."""
    optimizer: Literal["adamw", "lars", "sgd"]
    lr: float
    """Peak learning rate."""
    bias_lr: float | None
    """Peak learning rate of biases and norms. Default: that of the weights."""
    weight_decay: float | Sequence[float]
    """Of weights; biases, norms, tokens and position embeddings have none. Two numbers: from the first to the
    second by a cosine over the run."""
    momentum: float
    """Of sgd and lars; beta 1 of adamw."""
    warmup_epochs: float | None
    """Epochs of linear warm-up, followed by a cosine. Default: a tenth of them, at most 10."""
    final_lr: float
    """What the cosine ends at, as a share of the peak."""
    layer_decay: float
    """Factor of the learning rate from each of the backbone's layers to the one before it."""
    clip: float | None
    """Largest norm of the gradient."""
    ema: float | None
    """Validate and export an exponential moving average of the weights, of this decay."""
    swa: float | None
    """Validate and export the mean of the weights from this share of the epochs on (Izmailov, 2018)."""
    early_stopping: int | None
    """Stop after so many validations without improvement."""
    keep: int
    """How many of the best checkpoints to keep, beside the last."""
    val_every: int
    """Epochs between validations."""
    precision: Literal["auto", "bf16", "fp16", "fp32"]
    """auto: bf16 where the processor has it natively, else fp32."""
    checkpointing: bool
    """Keep only what enters each block of the backbone, and compute the rest again in the backward: a fraction of
    the memory for a second forward, with the same gradients."""
    compile: bool
    """Compile the backbone's blocks (torch.compile): meant for GPUs, after some slow first steps; CPUs gain
    nothing."""
    workers: int | None
    """Processes that load data. Default: by the machine."""
    devices: int | None
    """How many GPUs (or CPU processes) to train on. Default: all GPUs, or one CPU process."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    find_lr: bool
    """Search a learning rate first (Smith, 2017), print it and use it."""
    find_batch_size: bool
    """Search the largest batch size that fits first, print it and use it."""
    log: Sequence[Literal["tensorboard", "wandb"]]
    """Further loggers beside metrics.csv; wandb stays offline where there is no login."""
    log_every: int
    """Steps between two rows of metrics.csv."""
    probe: str
    """Looks inside while training, separated by commas: NAME, or NAME@5 for every 5 epochs, NAME@500steps,
    NAME@5:16 on 16 images; auto chooses by the network, none looks at nothing. `twinsight look --help` names
    them."""
    probe_images: File | None
    """Look at the images of this folder. Default: at images of --data, evenly chosen."""
    probe_size: int | None
    """Bring probes' images down to so many pixels on the shorter side. Default: by the probe, 224 at most to
    pretrain."""
    probe_budget: float
    """Share of the training's time that probes may take; what is due waits. The first and last look are always
    taken."""
    run: File | None
    """Directory of the run, made anew. Default: runs/COMMAND-WHAT-N."""
    resume: File | None
    """Go on with this run from its last checkpoint; its own config.yaml is the default of every option."""
    overwrite: bool
    """Replace the run that is there, which goes once the new one has its first checkpoint."""
    seed: int
    weights: File | None
    """Start from these weights of the same backbone: a run directory, a weights file or an official name
    (`twinsight weights` lists them)."""
    accumulate_exact: bool
    """With --accumulate N the loss sees the images of all N steps at once: the gradient of one large batch in the
    memory of a small one, for a second forward (gradient caching; Gao et al., 2021). Only batch norm within the
    backbone still sees one step's, and with few images a step that undoes most of it: for ViTs, Swins,
    ConvNeXts."""
    lr_batch: int
    """Batch size that `lr` and `bias_lr` are for: they are multiplied by (images per update) / this."""
    augment_on: Literal["auto", "workers", "device"]
    """What colors, blurs and solarizes views: the workers, or the device that trains; auto: that device, if a
    GPU."""
    attention: Mapping[str, Any] | Buildable
    method: str | PathLike[str] | Mapping[str, Any] | Buildable | type[Any]
    backbone: str | PathLike[str] | Mapping[str, Any] | Buildable | type[Any]


class SegmentKeywords(TypedDict, total=False):
    """Options of `twinsight.segment`."""

    window: int | None
    """Side of sliding windows in pixels. Default: the whole image at once."""
    overlap: float
    """Share by which neighboring windows overlap, 0 to 0.9."""
    scales: Sequence[float]
    """Sizes of the image over which predictions are averaged."""
    flip: bool
    """Average with the prediction of the mirrored image."""
    epochs: int
    max_minutes: float | None
    """Stop and save after so many minutes, to be resumed; schedules still count on all epochs."""
    checkpoint_minutes: float
    """Save at least every so many minutes within an epoch; the first step and the end of an epoch save too."""
    batch_size: int
    """Images per step and process."""
    accumulate: int
    """Steps whose gradients are added up before one update; a loss still sees one step's batch."""
    optimizer: Literal["adamw", "lars", "sgd"]
    lr: float
    """Peak learning rate of the backbone."""
    bias_lr: float | None
    """Peak learning rate of biases and norms. Default: that of the weights."""
    weight_decay: float | Sequence[float]
    """Of weights; biases, norms, tokens and position embeddings have none. Two numbers: from the first to the
    second by a cosine over the run."""
    momentum: float
    """Of sgd and lars; beta 1 of adamw."""
    warmup_epochs: float | None
    """Epochs of linear warm-up, followed by a cosine. Default: a tenth of them, at most 10."""
    final_lr: float
    """What the cosine ends at, as a share of the peak."""
    layer_decay: float
    """Factor of the learning rate from each of the backbone's layers to the one before it."""
    clip: float | None
    """Largest norm of the gradient."""
    ema: float | None
    """Validate and export an exponential moving average of the weights, of this decay."""
    swa: float | None
    """Validate and export the mean of the weights from this share of the epochs on (Izmailov, 2018)."""
    early_stopping: int | None
    """Stop after so many validations without improvement."""
    keep: int
    """How many of the best checkpoints to keep, beside the last."""
    val_every: int
    """Epochs between validations."""
    precision: Literal["auto", "bf16", "fp16", "fp32"]
    """auto: bf16 where the processor has it natively, else fp32."""
    checkpointing: bool
    """Keep only what enters each block of the backbone, and compute the rest again in the backward: a fraction of
    the memory for a second forward, with the same gradients."""
    compile: bool
    """Compile the backbone's blocks (torch.compile): meant for GPUs, after some slow first steps; CPUs gain
    nothing."""
    workers: int | None
    """Processes that load data. Default: by the machine."""
    devices: int | None
    """How many GPUs (or CPU processes) to train on. Default: all GPUs, or one CPU process."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    find_lr: bool
    """Search a learning rate first (Smith, 2017), print it and use it."""
    find_batch_size: bool
    """Search the largest batch size that fits first, print it and use it."""
    log: Sequence[Literal["tensorboard", "wandb"]]
    """Further loggers beside metrics.csv; wandb stays offline where there is no login."""
    log_every: int
    """Steps between two rows of metrics.csv."""
    probe: str
    """Looks inside while training, separated by commas: NAME, or NAME@5 for every 5 epochs, NAME@500steps,
    NAME@5:16 on 16 images; auto chooses by the network, none looks at nothing. `twinsight look --help` names
    them."""
    probe_images: File | None
    """Look at the images of this folder. Default: at images of --data, evenly chosen."""
    probe_size: int | None
    """Bring probes' images down to so many pixels on the shorter side. Default: by the probe, 224 at most to
    pretrain."""
    probe_budget: float
    """Share of the training's time that probes may take; what is due waits. The first and last look are always
    taken."""
    run: File | None
    """Directory of the run, made anew. Default: runs/COMMAND-WHAT-N."""
    resume: File | None
    """Go on with this run from its last checkpoint; its own config.yaml is the default of every option."""
    overwrite: bool
    """Replace the run that is there, which goes once the new one has its first checkpoint."""
    seed: int
    head_lr: float
    """Peak learning rate of the head."""
    weights: File | None
    """Weights of the backbone: a run directory, a file or an official name (`twinsight weights` lists them).
    Default: as --backbone.pretrained says."""
    freeze: int | Literal["all"]
    """Freeze the whole backbone (all), or its stem and first blocks."""
    loss: str
    """A weighted sum, such as cross-entropy+0.5*dice, of cross-entropy, dice, focal, jaccard, lovasz."""
    class_weights: Sequence[float] | None
    """Weight of each class in the cross-entropy and focal losses."""
    label_smoothing: float
    """Of the cross-entropy."""
    focal_gamma: float
    """Exponent of the focal loss."""
    aux_weight: float
    """Weight of an auxiliary FCN head on a shallower level; 0 for none."""
    augment: Mapping[str, Any] | Buildable
    head: str | PathLike[str] | Mapping[str, Any] | Buildable | type[Any]
    backbone: str | PathLike[str] | Mapping[str, Any] | Buildable | type[Any]


class EvaluateKeywords(TypedDict, total=False):
    """Options of `twinsight.evaluate`."""

    window: int | None
    """Side of sliding windows in pixels. Default: the whole image at once."""
    overlap: float
    """Share by which neighboring windows overlap, 0 to 0.9."""
    scales: Sequence[float]
    """Sizes of the image over which predictions are averaged."""
    flip: bool
    """Average with the prediction of the mirrored image."""
    probe: str | None
    """Judge the backbone without a decoder, beside the same network untrained. Names separated by commas:
    attention, patches, linear on data with masks; knn, linear on a class-folder."""
    size: int | None
    """With --probe: bring images down to so many pixels on the shorter side. Default: 480 with masks, else 224, of
    which the middle square is taken."""
    protocol: Literal["foreground", "public"]
    """With --probe attention: what heads are compared with. foreground: all that is not background, as one region.
    public: each class with its own best head, as the public script for DINO on VOC does."""
    workers: int | None
    """Processes that load data. Default: by the machine."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] | None
    """Default: what the run was trained and validated in. auto: bf16 where the processor has it natively, else
    fp32."""


class PredictKeywords(TypedDict, total=False):
    """Options of `Model.predict`."""

    window: int | None
    """Side of sliding windows in pixels. Default: the whole image at once."""
    overlap: float
    """Share by which neighboring windows overlap, 0 to 0.9."""
    scales: Sequence[float]
    """Sizes of the image over which predictions are averaged."""
    flip: bool
    """Average with the prediction of the mirrored image."""
    batch_size: int | None
    """Images of one size that are segmented at once. Default: as many as pay, by their size."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] | None
    """Default: what the run was trained and validated in. auto: bf16 where the processor has it natively, else
    fp32."""
    bits: Literal[8, 10, 12, 14, 16] | None
    """How many of their bits 16-bit images fill. Default: as in the training, else by the largest value of a
    sample."""
    max_megapixels: float | None
    """Refuse larger images before they are decoded. Default: as in the training."""


class LookKeywords(TypedDict, total=False):
    """Options of `twinsight.look`: of all probes, each of which takes its own."""

    size: int | None
    """Bring images down to so many pixels on the shorter side. Default: 480 for what is shown pixel by pixel, 224
    for embeddings, none for predictions."""
    sample: int | None
    """How many images of --data. Default: by the probe."""
    split: Literal["train", "val"] | None
    """Of --data. Default: val for a segmenter, else train."""
    blocks: Sequence[int]
    """Blocks to look at, counted from 0 (figures count from 1); negative ones from the last."""
    query: Literal["auto", "class", "mean"]
    """Whose attention: the class token's or the mean over all patches'; auto: class where there is one."""
    at: Sequence[float] | None
    """The attention of the patch at x y, shares of the image's width and height, instead."""
    mass: float
    """Share of a head's attention that its mask holds."""
    rollout: bool
    """Attention rollout over all blocks too (Abnar and Zuidema, 2020)."""
    seed: int
    """Of the attention in random places."""
    protocol: Literal["foreground", "public"]
    """foreground: all that is not background is one region, and void counts nowhere. public: as the public script
    for DINO on VOC, each class with its own best head, images cropped to whole patches, void under a mask a
    mistake."""
    layers: Sequence[str]
    """Names of layers, as named_modules() has them. Default: --count of them, evenly spaced."""
    count: int
    """How many layers where none is named, first and last included."""
    threshold: float
    """Share of the maximum above which a pixel counts to the field's area."""
    shown: int
    """Show so many of the features; the numbers are of all."""
    draws: int
    """How many times the views are drawn for each image."""
    level: int
    """Level of the backbone, a stage or a block; negative ones count from the deepest."""
    k: int
    """Neighbors that vote."""
    memory: int
    """Most patches to compare with."""
    projection: Literal["pca", "tsne"]
    """Principal components, or t-SNE (pip install 'twinsight[tsne]')."""
    perplexity: float
    """Of t-SNE: about how many neighbors a point has."""
    thumbnails: int
    """Most images to draw."""
    queries: int
    """How many images, the first, are queries."""
    ks: Sequence[int]
    """Numbers of neighbors that vote."""
    temperature: float
    """A vote weighs exp(cosine similarity / temperature)."""
    scalars: Sequence[str]
    """Columns of metrics.csv. Default: all that a run logs, by group."""


class DataKeywords(TypedDict, total=False):
    """Options of `Dataset.open`."""

    count: int
    """Number of training images."""
    val_count: int
    """Number of validation images."""
    size: int
    """Side of an image in pixels."""
    seed: int
    """Seed of the scenes (not of the training)."""
    objects: int
    """Most objects in an image."""
    crowding: float
    """Probability of each object after the first."""
    radius: Sequence[float]
    """Radius of an object, smallest and largest, as a share of the image's side."""
    texture: float
    """Loudness of the background, 0 to 1."""
    cache: File | None
    """Folder in which to keep all training images (and masks) decoded, 3 bytes a pixel (4 with masks), once for all
    epochs and runs."""
    bits: Literal[8, 10, 12, 14, 16] | None
    """How many of their bits 16-bit images fill (12 of an X-ray). Default: by the largest value of a sample of
    them; a run keeps what was found."""
    max_megapixels: float
    """Refuse larger images before they are decoded."""
    tolerate: float
    """How many broken images to leave out, each named once: a share of all below 1, else a number. In a training
    the next image takes the place of each."""
    download: bool
    """Fetch it into root first (2 GB) where it is missing."""
    version: Literal["164k", "10k"]
    """Which of the two."""
    masks: File | None
    """Folder of masks: one PNG of class indices per image, of the same name; 255 is void."""
    classes: File | None
    """File with one class name per line. Default: classes.txt in root or in the masks' folder."""
    val_fraction: float
    """Share of train held out for validation where neither folders nor lists state a val."""
    values: Sequence[int] | None
    """The value in the masks of each class, class 0 first: 0 255 for binary masks. Default: 0 1 2 ..."""
    void: Sequence[int] | None
    """Values in the masks that count nowhere; 0 alone for classes numbered from 1. Default: 255, unless a class has
    it."""
