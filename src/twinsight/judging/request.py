"""What `evaluate --probe` asks of which data, checked without PyTorch."""

from twinsight.assemble.datasets import with_masks
from twinsight.data.class_folder import ClassFolder
from twinsight.data.samples import Dataset
from twinsight.errors import UserError
from twinsight.options.choose import suggest
from twinsight.options.commands import Evaluate
from twinsight.options.training import InferenceOptions

ON_MASKS = ("attention", "patches", "linear")
ON_CLASSES = ("knn", "linear")


def judged_on(options: Evaluate) -> tuple[Dataset, Dataset]:
    """The training and the validation split. Raises UserError for options or data that do not suit the judges."""
    if options.precision is not None:
        raise UserError("--precision: cannot be combined with --probe, which computes in float32; leave it out")
    whole = InferenceOptions()
    if any(getattr(options, name) != getattr(whole, name) for name in ("window", "overlap", "scales", "flip")):
        raise UserError("--probe: uses whole images; leave out --window, --overlap, --scales and --flip")
    names = judges_of(options)
    unknown = next((name for name in names if name not in {*ON_MASKS, *ON_CLASSES}), None)
    if unknown is not None:
        raise UserError(f"--probe {unknown}: does not score a backbone; {suggest(unknown, [*ON_MASKS, 'knn'])}")
    train = options.data.open("train")
    val = options.data.settled(train).open("val")
    judges = ON_CLASSES if isinstance(val, ClassFolder) else ON_MASKS
    for name in names:
        if name not in judges:
            wants = "a folder of images per class" if name in ON_CLASSES else "data with masks"
            raise UserError(f"--probe {name}: requires {wants}; for this data give {' or '.join(judges)}")
    if judges is ON_MASKS:
        with_masks(val)
    return train, val


def judges_of(options: Evaluate) -> list[str]:
    return (options.probe or "").split(",")
