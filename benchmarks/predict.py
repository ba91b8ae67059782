"""`twinsight predict` on a folder of photographs, beside the plain loop: open, segment, save, one at a time."""

import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from benchmarks.machine import native_bf16
from benchmarks.photographs import photographs
from benchmarks.table import Row
from benchmarks.timing import beside
from twinsight.assemble.open import load_segmenter, make_model
from twinsight.commands import predict
from twinsight.console import notes
from twinsight.data.samples import voc_palette
from twinsight.device import Device
from twinsight.options.backbones import TimmOptions
from twinsight.options.commands import Predict, Segment
from twinsight.options.config import dump
from twinsight.options.heads import LinearOptions
from twinsight.segmentation.classes import save_classes

CLASSES = 21
HEIGHT, WIDTH = 375, 500


def run(quick: bool) -> list[Row]:
    count, rounds = (2, 1) if quick else (32, 3)
    with photographs(count, HEIGHT, WIDTH) as folder, tempfile.TemporaryDirectory() as made:
        backbone = "test_resnet" if quick else "resnet18"
        segmenter = untrained(Path(made, "run"), backbone)
        outs = {name: Path(made, name) for name in ("ours", "plain")}
        options = Predict(run=segmenter, images=(folder,), out=outs["ours"], overlay=False, overwrite=True)
        ours = silent(partial(predict.run, options))
        peers = {"plain loop": partial(plain, segmenter, folder, outs["plain"], False)}
        if native_bf16():
            peers["plain loop, bf16"] = partial(plain, segmenter, folder, Path(made, "bf16"), True)
        ours()
        peers["plain loop"]()
        check(outs["ours"], outs["plain"], 0.99 if native_bf16() else 0.9999)
        claim = f"predict {count} images of {WIDTH}x{HEIGHT} by a linear head on {backbone}"
        times = {"rounds": rounds, "unit": "images/s", "work": count, "warm": False}
        rows = beside(f"{claim}: processor time", ours, peers, None, **times)
        rows += beside(f"{claim}: until it is done", ours, peers, 1, clock=time.perf_counter, **times)
    return rows + [megapixels(row) for row in rows]


def silent(call: Callable[[], object]) -> Callable[[], None]:
    def quiet() -> None:
        before, notes.quiet = notes.quiet, True
        try:
            call()
        finally:
            notes.quiet = before

    return quiet


def megapixels(row: Row) -> Row:
    each = HEIGHT * WIDTH / 1e6
    return row._replace(ours=row.ours * each, peer=(row.peer or 0) * each, unit="megapixels/s", target=None)


def untrained(run: Path, backbone: str) -> Path:
    """A run directory as `twinsight segment` leaves one."""
    run.mkdir()
    options = Segment(backbone=TimmOptions(name=backbone, pretrained=False), head=LinearOptions())
    torch.manual_seed(0)
    model = make_model(options, CLASSES)
    save_file(model.state_dict(), run / "model.safetensors")
    save_classes(run / "classes.json", tuple(f"class {i}" for i in range(CLASSES)), voc_palette(CLASSES))
    (run / "config.yaml").write_text(dump(options, "segment"))
    return run


@torch.inference_mode()
def plain(run: Path, folder: Path, out: Path, bf16: bool) -> None:
    device = Device().torch
    model, _ = load_segmenter(run, "best", device)
    out.mkdir(exist_ok=True)
    for file in sorted(folder.iterdir()):
        image = torch.from_numpy(np.array(Image.open(file).convert("RGB"))).permute(2, 0, 1)[None].to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
            mask = model(image).argmax(1)[0]
        Image.fromarray(mask.to(torch.uint8).cpu().numpy()).save(out / f"{file.stem}.png")


def check(ours: Path, plain: Path, share: float) -> None:
    """All but few pixels, where two classes tie: decoders round differently, and so do batches."""
    for file in sorted(plain.iterdir()):
        same = np.asarray(Image.open(file)) == np.asarray(Image.open(ours / file.name))
        assert same.mean() >= share, f"{file.name}: {same.mean():.6f} of the pixels are the same"
