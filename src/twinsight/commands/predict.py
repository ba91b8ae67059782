"""twinsight predict: images -> masks, and masks over the images."""

from pathlib import Path

from twinsight.assemble.images import find
from twinsight.assemble.networks import check_device
from twinsight.assemble.trained import read_trained
from twinsight.console import loading
from twinsight.errors import UserError
from twinsight.options.commands import Predict
from twinsight.options.ranges import check_ranges
from twinsight.outputs import check_folder


def run(options: Predict) -> None:
    check_ranges(options)
    check_folder("out", options.out, options)
    trained = read_trained(options.run, options.checkpoint)
    images = find(options.images, but=options.out)
    check_targets(options, images)
    check_device(options.accelerator)
    loading("PyTorch")
    from twinsight.assemble.predictions import predict

    predict(options, trained, images)


def check_targets(options: Predict, images: dict[str, Path]) -> None:
    """Raises UserError for a prediction that is there and is not to be replaced, or is one of the images."""
    suffixes = (".png", ".overlay.jpg") if options.overlay else (".png",)
    targets = (options.out / f"{name}{suffix}" for name in images for suffix in suffixes)
    there = [file for file in targets if file.exists()]
    sources = {file.resolve() for file in images.values()} if there else set()
    for file in there:
        if file.resolve() in sources:
            raise UserError(f"--out {options.out}: its {file.name} is one of the images; choose another --out")
    if there and not options.overwrite:
        raise UserError(f"{there[0]}: exists; choose another --out or give --overwrite")
