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
Probe: TypeAlias = Literal[
    "attention",
    "scores",
    "erf",
    "correlation",
    "health",
    "views",
    "predictions",
    "features",
    "patches",
    "embedding",
    "neighbors",
    "knn",
    "linear",
    "filters",
    "curves",
]


class TrainingKeywords(TypedDict, total=False):
    """Options of every training."""

    accumulate: int
    """Steps whose gradients are summed before each update. Each loss still sees the images of one step only."""
    final_lr: float
    """Learning rate at the end of the cosine, as a fraction of the peak."""
    find_lr: bool
    """Search for a learning rate first (Smith, 2017), print it and use it."""
    find_batch_size: bool
    """Search for the largest batch size that fits in memory, print it and use it."""
    max_minutes: float | None
    """Stop and save after this many minutes, to be resumed later. Schedules still span all epochs."""
    early_stopping: int | None
    """Stop after this many validations without improvement."""
    val_every: int
    """Epochs between validations."""
    seed: int
    """Seed of the weights, the order of images and their augmentation."""
    optimizer: Literal["adamw", "lars", "sgd"]
    """Update rule."""
    bias_lr: float | None
    """Peak learning rate of biases and norms. Default: that of the weights."""
    weight_decay: float | Sequence[float]
    """Weight decay, not applied to biases, norms, tokens and position embeddings. Two numbers: go from the first to
    the second along a cosine over the run."""
    momentum: float
    """Momentum of sgd and lars, beta 1 of adamw."""
    clip: float | None
    """Largest norm of the gradient. Default: no limit."""
    ema: float | None
    """Validate and export an exponential moving average of the weights with this decay."""
    swa: float | None
    """Validate and export the mean of the weights over the epochs after this fraction of the run (Izmailov et al.,
    2018)."""
    workers: int | None
    """Processes that load images. Default: set automatically."""
    precision: Literal["auto", "bf16", "fp16", "fp32"]
    """Number format: bf16, fp16, fp32, or auto, which is bf16 on hardware that supports it natively, otherwise
    fp32."""
    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    """cpu, gpu, mps or auto (GPU if present)."""
    devices: int | None
    """Number of GPUs, or of CPU processes. Default: all GPUs, or one CPU process."""
    checkpointing: bool
    """Recompute each block of the backbone in the backward pass instead of storing its activations: less memory,
    one more forward pass, the same gradients."""
    compile: bool
    """Compile the backbone's blocks with torch.compile. The first steps are slow, and CPUs gain nothing."""
    probe: str
    """Probes to run, separated by commas: NAME, NAME@5 (every 5 epochs), NAME@500steps or NAME@5:16 (on 16 images).
    auto: those that suit the model; none: no probes."""
    probe_images: File | None
    """Folder of images to probe. Default: a spread of the images in data."""
    probe_size: int | None
    """Shrink probed images so that the shorter side has at most this many pixels. Default: depends on the probe."""
    probe_budget: float
    """Largest fraction of the training time to spend on probes; those that are due wait. The first and the last
    look are always taken."""
    run: File | None
    """Directory for the run. Default: a new one in runs/."""
    resume: File | None
    """Continue this run from its last checkpoint, with the options in its config.yaml."""
    overwrite: bool
    """Replace an existing run. It is deleted once the new run has saved its first checkpoint."""
    keep: int
    """Number of best checkpoints to keep, besides the last one."""
    checkpoint_minutes: float
    """Save at least this often within an epoch, in minutes. The first step and the end of each epoch are saved
    too."""
    log: Sequence[Literal["tensorboard", "wandb"]]
    """Loggers to use besides metrics.csv. wandb stays offline unless you are logged in."""
    log_every: int
    """Steps between two rows of metrics.csv."""
    weights: File | None
    """Weights to start from: a run directory, a weights file or an official name (listed by `twinsight
    weights`)."""


class PretrainKeywords(TrainingKeywords, total=False):
    """Options of `twinsight.pretrain`."""

    epochs: int | Literal["auto"]
    """Number of passes over the training images. auto: 100, or more if the images are few."""
    batch_size: int | Literal["auto"]
    """Images per step per process. auto: 256, or fewer if the images are few."""
    lr: float | Literal["auto"]
    """Peak learning rate. auto: by optimizer and the images per update."""
    warmup_epochs: float | None
    """Epochs of linear warm-up, before the learning rate follows a cosine. Default: a tenth of epochs, at most
    10."""
    layer_decay: float
    """Factor applied to the learning rate from each layer of the backbone to the layer before it."""
    method: Choice
    """Self-supervised method, or FILE.py with one of your own."""
    backbone: Choice
    """Any timm model, such as resnet50 or vit_small_patch16_224, or vit-pytorch."""
    attention: Section
    accumulate_exact: bool
    """With accumulate=N, compute the loss over the images of all N steps: the gradient of one large batch in the
    memory of a small one, at the cost of a second forward pass (Gao et al., 2021). Batch norm in the backbone still
    sees one step at a time, which undoes most of the benefit in small steps: use it with ViTs, Swins and
    ConvNeXts."""
    lr_batch: int
    """Batch size that lr and bias_lr refer to. Both are scaled by (images per update) / this."""
    time_budget: float | None
    """Minutes that training should take: epochs auto becomes as many as fit, by the measured time of a step."""
    augment_on: Literal["auto", "workers", "device"]
    """Where views are colored, blurred and solarized. auto: on the GPU if there is one, otherwise in the
    workers."""


class SegmentKeywords(TrainingKeywords, total=False):
    """Options of `twinsight.segment`."""

    epochs: int
    """Number of passes over the training images."""
    batch_size: int | Literal["auto"]
    """Images per step per process. auto: 16, or fewer if the images are few."""
    lr: float | Literal["auto"]
    """Peak rate of the backbone (auto: 1e-4)."""
    warmup_epochs: float | None
    """Epochs of linear warm-up, before the learning rate follows a cosine."""
    layer_decay: float | Literal["auto"]
    """Factor applied to the learning rate from each layer of the backbone to the layer before it. auto: 0.8 for a
    transformer with weights from elsewhere, otherwise 1."""
    window: int | None
    """Side of a sliding window in pixels. Default: the whole image at once."""
    overlap: float
    """Fraction by which neighboring windows overlap."""
    scales: Sequence[float]
    """Average predictions over these scales of the image."""
    flip: bool
    """Average predictions over the image and its mirror image."""
    head: Choice
    """Segmentation head, or FILE.py with one of your own."""
    match_parameters: float | File | None
    """Choose the head's width so that it has this many parameters: a number, those of a run's head, or those of
    another head by name."""
    backbone: Choice
    """Any timm model, such as vit_small_patch16_224, or vit-pytorch."""
    freeze: int | Literal["all", "auto"]
    """Freeze all, or the stem and first N blocks; -2: all but the last 2; 0: nothing. auto: all of DINOv2 and
    DINOv3 on few images, else nothing."""
    lora: Section
    head_lr: float | Literal["auto"]
    """Peak rate of the head (auto: 1e-3)."""
    loss: str
    """Sum of cross-entropy, dice, focal, jaccard, lovasz, such as cross-entropy+0.5*dice."""
    class_weights: Sequence[float] | Literal["auto"] | None
    """Weight of each class in the cross-entropy and focal losses; auto: the median class frequency over each
    class's own. Default: 1 for each."""
    label_smoothing: float
    """Label smoothing of the cross-entropy."""
    focal_gamma: float
    """Exponent of the focal loss."""
    aux_weight: float
    """Weight of the loss of an auxiliary FCN head on a shallower level; 0 for no such head."""
    sampling: Literal["uniform", "rarity"]
    """Order of the images. rarity: a class is drawn first, rare ones most often, then one of its images
    (DAFormer)."""
    augment: Section


class EvaluateKeywords(TypedDict, total=False):
    """Options of `twinsight.evaluate`."""

    window: int | None
    """Side of a sliding window in pixels. Default: the whole image at once."""
    overlap: float
    """Fraction by which neighboring windows overlap."""
    scales: Sequence[float]
    """Average predictions over these scales of the image."""
    flip: bool
    """Average predictions over the image and its mirror image."""
    probe: str | None
    """Judge the backbone, beside the same network untrained. Names separated by commas: attention, patches and
    linear for data with masks; knn and linear for a folder per class."""
    size: int | None
    """Shrink images so that the shorter side has at most this many pixels. Default: 480 with masks, otherwise 224,
    of which the central square is used."""
    protocol: Literal["foreground", "public"]
    """What probe attention compares heads with. foreground: everything but the background, as one region. public:
    each class with its own best head, as in the public script for DINO on VOC."""
    workers: int | None
    """Processes that load images. Default: set automatically."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] | None
    """Number format: bf16, fp16, fp32, or auto (bf16 on hardware that supports it natively, otherwise fp32).
    Default: that of the training."""


class PredictKeywords(TypedDict, total=False):
    """Options of `Model.predict`."""

    window: int | None
    """Side of a sliding window in pixels. Default: the whole image at once."""
    overlap: float
    """Fraction by which neighboring windows overlap."""
    scales: Sequence[float]
    """Average predictions over these scales of the image."""
    flip: bool
    """Average predictions over the image and its mirror image."""
    bits: Literal[8, 10, 12, 14, 16] | None
    """Bits in use of 16-bit images. Default: as in the training, otherwise found from a sample's largest value."""
    max_megapixels: float | None
    """Refuse larger images before decoding them. Default: as in the training."""
    batch_size: int | None
    """Images of one size to segment at once. Default: chosen by their size."""
    precision: Literal["auto", "bf16", "fp16", "fp32"] | None
    """Number format: bf16, fp16, fp32, or auto (bf16 on hardware that supports it natively, otherwise fp32).
    Default: that of the training."""


class LookKeywords(TypedDict, total=False):
    """Options of `twinsight.look`: of all probes, each of which takes its own."""

    sample: int | None
    """Number of images to look at, evenly chosen. Default: depends on the probe."""
    size: int | None
    """Shrink images so that the shorter side has at most this many pixels. Default: 480 for what is shown pixel by
    pixel, 224 for embeddings, no limit for predictions."""
    split: Literal["train", "val"] | None
    """Split of data. Default: val for a segmenter, otherwise train."""
    blocks: Sequence[int]
    """Blocks to look at, counted from 0 (figures count from 1); -1 is the last."""
    query: Literal["auto", "class", "mean"]
    """Whose attention: the class token's (class) or the mean over all patches (mean). auto: class if it exists."""
    at: Sequence[float] | None
    """Show the attention of the patch at x y instead, given as fractions of the image's width and height."""
    mass: float
    """Fraction of a head's attention that its mask covers."""
    rollout: bool
    """Show attention rollout over all blocks too (Abnar and Zuidema, 2020)."""
    seed: int
    """Seed of the attention in random places."""
    protocol: Literal["foreground", "public"]
    """What heads are compared with. foreground: everything but the background, as one region, ignoring void.
    public: each class with its own best head, as in the public script for DINO on VOC, which crops images to whole
    patches and counts void under a mask as a mistake."""
    layers: Sequence[str]
    """Names of layers, as in named_modules(). Default: count layers, evenly spaced."""
    count: int
    """Number of layers if none is named, including the first and the last."""
    threshold: float
    """Fraction of the maximum above which a pixel belongs to the receptive field."""
    shown: int
    """Number of features to draw. The numbers cover all of them."""
    draws: int
    """Number of draws of the views for each image."""
    level: int
    """Level of the backbone: a stage or a block; -1 is the deepest."""
    k: int
    """Number of neighbors that vote."""
    memory: int
    """Largest number of patches to compare with."""
    projection: Literal["pca", "tsne"]
    """pca: principal components; tsne: t-SNE (pip install 'twinsight[tsne]')."""
    perplexity: float
    """Perplexity of t-SNE: roughly the number of neighbors of a point."""
    thumbnails: int
    """Largest number of images to draw."""
    queries: int
    """Number of images to find neighbors of, the first ones."""
    ks: Sequence[int]
    """Numbers of neighbors to try."""
    temperature: float
    """A neighbor's vote has the weight exp(cosine similarity / temperature)."""
    scalars: Sequence[str]
    """Columns of metrics.csv to draw. Default: all that a run logs, by group."""


class DataKeywords(TypedDict, total=False):
    """Options of `Dataset.open`."""

    count: int
    """Number of training images."""
    val_count: int
    """Number of validation images."""
    size: int
    """Side of an image, in pixels."""
    seed: int
    """Seed of the scenes, independent of the training's seed."""
    objects: int
    """Largest number of objects in an image."""
    crowding: float
    """Probability of each object after the first."""
    radius: Sequence[float]
    """Smallest and largest radius of an object, as fractions of the image's side."""
    texture: float
    """Contrast of the background's texture."""
    cache: File | None
    """Folder for a decoded copy of the training images, shared by all epochs and runs: 3 bytes per pixel, 4 with
    masks."""
    bits: Literal[8, 10, 12, 14, 16] | None
    """Bits in use of 16-bit images, such as 12 for X-rays. Default: found from the largest value in a sample of
    them, and kept in the run."""
    max_megapixels: float
    """Refuse larger images before decoding them."""
    tolerate: float
    """Largest number of broken images to skip, or, below 1, largest fraction, such as 0.1%. Each is named once; in
    a training the next image takes its place."""
    fraction: float
    """Train on this fraction of the training images, such as 5%; a larger one adds to a smaller one."""
    fraction_seed: int
    """Seed of that choice of images."""
    val_fraction: float
    """Fraction of the training images to hold out for validation if neither folders nor lists name a validation
    split, chosen by a hash of their names."""
    group: str | None
    """Regular expression that finds a name in each image's name, such as "(.*)_" for the drive of drive7_001:
    images of one patient, drive or video then stay on one side of the split."""
    masks: File | None
    """Folder of masks: for each image a PNG, TIFF or .npy of the same name with a class index per pixel; 255 is
    void."""
    classes: File | None
    """File with one class name per line. Default: classes.txt in root or in the folder of masks; masks of 0 and
    255, or of 0 and 1, need none."""
    values: Sequence[int] | None
    """Value of each class in the masks, class 0 first, such as 0 255 for binary masks. Default: 0 1 2 ..."""
    void: Sequence[int] | None
    """Values in the masks to ignore, such as 0 if classes are numbered from 1. Default: 255, unless a class has
    it."""
    overlaps: Literal["area", "order"]
    """Where regions overlap: "area" draws the smaller one on top, "order" the later one."""
    kind: Literal["instances", "stuff", "panoptic"] | None
    """Files to read, by the beginnings of their names, if the folder holds several kinds."""
    edges: Literal["refuse", "void"]
    """Pixels along edges whose color mixes two classes': refuse the mask, or count them as void."""
    download: bool
    """Download it into root (2 GB) if it is missing."""
    voc: File | None
    """Folder of VOC 2012. Default: in root or beside it."""
    version: Literal["164k", "10k"] | Literal["1.2", "2.0"]
    """Release: 164k (stuffthingmaps) or 10k (.mat files)."""
    scene: Literal["urban", "rural"] | None
    """Towns or country only. Default: both."""
