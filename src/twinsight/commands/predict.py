"""twinsight predict: images -> masks, and masks over the images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rich.progress import track

from twinsight.commands import setup
from twinsight.config import Predict
from twinsight.console import notes, told
from twinsight.data.decode import decode_image
from twinsight.data.voc import find_images
from twinsight.errors import UserError
from twinsight.probes.draw import overlay
from twinsight.segmentation import load_classes


def run(options: Predict) -> None:
    if not 0 <= options.opacity <= 1:
        raise UserError(f"--opacity {options.opacity}: must lie between 0 and 1")
    device = setup.choose_device(options.accelerator)
    inference = setup.make_inference(options)
    images = find(options.images)
    suffixes = (".png", ".overlay.jpg") if options.overlay else (".png",)
    targets = (options.out / f"{name}{suffix}" for name in images for suffix in suffixes)
    there = next((file for file in targets if file.exists()), None)
    if there is not None and not options.overwrite:
        raise UserError(f"{there}: exists; choose another --out or give --overwrite")
    model, _ = setup.load_segmenter(options.run, options.checkpoint, device)
    _, palette = load_classes(options.run / "classes.json")

    broken = []
    for name, file in track(images.items(), "predicting", console=notes, transient=True):
        try:
            image = decode_image(file)
        except UserError as error:
            broken.append(str(error))
            continue
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None].to(device)
        mask = inference(model, pixels)[0].argmax(0).to(torch.uint8).cpu().numpy()
        target = options.out / f"{name}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        save(mask_image(mask, palette), target)
        if options.overlay:
            save(
                Image.fromarray(overlay(image, mask, palette, options.opacity)),
                options.out / f"{name}.overlay.jpg",
            )
    told(f"predict: {len(images) - len(broken)} of {len(images)} images, in {options.out}")
    if broken:
        raise UserError(f"{len(broken)} of the images could not be read, the others are done: {'; '.join(broken)}")


def find(given: Sequence[Path]) -> dict[str, Path]:
    """The images by the name of their prediction: the path below the folder given, without extension."""
    found: dict[str, Path] = {}
    for path in given:
        if not path.exists():
            raise UserError(f"{path}: no such file or folder")
        files = (
            [(file, file.relative_to(path)) for file in find_images(path)]
            if path.is_dir()
            else [(path, Path(path.name))]
        )
        if not files:
            raise UserError(f"{path}: no images in this folder")
        for file, relative in files:
            name = relative.with_suffix("").as_posix()
            if name in found:
                raise UserError(f"{file}: would have the same prediction as {found[name]}; predict them one by one")
            found[name] = file
    if not found:
        raise UserError("images: none given; name image files or folders")
    return found


def mask_image(mask: np.ndarray, palette: np.ndarray) -> Image.Image:
    """(H, W) class indices as a palette image, which viewers show in the classes' colors."""
    image = Image.fromarray(mask, mode="P")
    image.putpalette(palette.ravel().tolist())
    return image


def save(image: Image.Image, file: Path) -> None:
    """Write to a temporary name, then rename."""
    temporary = file.with_name(f".{file.name}.tmp")
    image.save(temporary, format={".png": "PNG", ".jpg": "JPEG"}[file.suffix])
    temporary.replace(file)
