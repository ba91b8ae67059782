"""The data of a training, opened and checked without PyTorch."""

from twinsight.data.fingerprint import fingerprint
from twinsight.data.glance import glance, glance_at_images
from twinsight.data.samples import Dataset, enough_images
from twinsight.errors import UserError
from twinsight.options.build import label
from twinsight.options.commands import Pretrain, Segment
from twinsight.runs.directory import Run


def open_images(options: Pretrain, run: Run) -> Dataset:
    """The images to pretrain on. Raises UserError for what is missing or cannot be trained on."""
    data = options.data.open("train")
    run.expect({"train": fingerprint(data)})
    if "classes" in options.method.given and not data.names:
        raise UserError(
            f"--data: has no classes, from which --method {label(options.method)} learns; put the images into a folder "
            "per class, as in photos/cat/1.jpg and photos/dog/2.jpg, and give --data photos"
        )
    check_batch_size(options, data)
    if len(data) < 2:
        raise UserError("--data: holds a single image; the loss compares images, so give 2 or more")
    glance_at_images(data)
    return data


def open_pairs(options: Segment, run: Run) -> tuple[Dataset, Dataset]:
    """The training and the validation split. Raises UserError as `open_images`."""
    train = with_masks(options.data.open("train"))
    val = with_masks(options.data.settled(train).open("val"))
    weights = options.class_weights
    if isinstance(weights, tuple) and len(weights) != len(train.classes):
        raise UserError(f"--class-weights: {len(weights)} given for {len(train.classes)} classes; give one per class")
    run.expect({"train": fingerprint(train), "val": fingerprint(val)})
    check_batch_size(options, train)
    glance(train, val)
    return train, val


def check_batch_size(options: Pretrain | Segment, data: Dataset) -> None:
    """How many GPUs share the images is known only later."""
    if not options.find_batch_size:
        images = len(data) // (options.devices or 1)
        enough_images(images, 1 if options.batch_size == "auto" else options.batch_size)


def with_masks(dataset: Dataset, flag: str = "--data") -> Dataset:
    if not dataset.classes:
        raise UserError(
            f"{flag}: this data set has no masks; give --data.masks FOLDER, or choose a data set with masks"
        )
    return dataset
