"""Which numbers make sense, said before anything is built."""

from dataclasses import fields, is_dataclass
from math import inf
from typing import Any

from twinsight.errors import UserError

COUNT = (1, inf)
SHARE = (0, 1)
NUMBER = (0, inf)
ABOVE_ZERO = (5e-324, inf)  # the least number above zero
BELOW_ONE = (0, 1 - 2**-53)

RANGES: dict[str, tuple[float, float]] = {
    **dict.fromkeys(("epochs", "batch_size", "accumulate", "val_every", "log_every", "keep", "early_stopping"), COUNT),
    **dict.fromkeys(
        ("devices", "lr_batch", "size", "val_count", "count", "patch_size", "image_size", "img_size"), COUNT
    ),
    **dict.fromkeys(("channels", "projector", "rates", "dim", "depth", "heads", "mlp_dim", "window"), COUNT),
    **dict.fromkeys(("prototypes", "hidden", "bottleneck", "local_size", "sample", "probe_size"), COUNT),
    **dict.fromkeys(("lr", "bias_lr", "head_lr", "weight_decay", "warmup_epochs", "lambd", "seed"), NUMBER),
    **dict.fromkeys(("focal_gamma", "aux_weight", "class_weights", "local_views"), NUMBER),
    **dict.fromkeys(("brightness", "contrast", "saturation"), NUMBER),
    **dict.fromkeys(("student_temperature", "teacher_temperature"), ABOVE_ZERO),
    **dict.fromkeys(("center_momentum", "temperature_warmup", "freeze_last_layer", "probe_budget"), SHARE),
    **dict.fromkeys(("max_minutes", "clip", "ratio", "sigma", "scales", "augment.scale"), ABOVE_ZERO),
    **dict.fromkeys(("flip", "jitter", "gray", "blur", "solarize", "mix", "invert"), SHARE),
    **dict.fromkeys(("final_lr", "label_smoothing", "val_fraction", "opacity"), SHARE),
    **dict.fromkeys(("momentum", "swa", "ema", "dropout", "emb_dropout", "drop_path_rate"), BELOW_ONE),
    "overlap": (0, 0.9),
    "layer_decay": (ABOVE_ZERO[0], 1),
    **dict.fromkeys(("views.scale", "local_scale"), (ABOVE_ZERO[0], 1)),
    "hue": (0, 0.5),
}
"""Least and greatest value by the end of the option's name; of a tuple, for each of its numbers."""

ORDERED = {"scale", "local_scale", "ratio", "sigma", "radius"}
"""Pairs that go from the smaller to the larger."""


def check(options: Any, prefix: str = "") -> None:
    """Raises UserError for the first option out of its range."""
    for field in fields(options):
        name, value = f"{prefix}{field.name}", getattr(options, field.name)
        if is_dataclass(value):
            check(value, f"{name}.")
            continue
        numbers = value if isinstance(value, tuple) else (value,)
        given = f"--{name.replace('_', '-')} {' '.join(map(str, numbers))}"
        low, high = RANGES.get(field.name) or RANGES.get(".".join(name.split(".")[-2:]), (-inf, inf))
        for number in numbers:
            if isinstance(number, int | float) and not low <= number <= high:
                raise UserError(f"{given}: must {bounds(low, high)}")
        if field.name in ORDERED and list(numbers) != sorted(numbers):
            raise UserError(f"{given}: the smaller comes first")
    if not prefix and (getattr(options, "warmup_epochs", None) or 0) > getattr(options, "epochs", inf):
        raise UserError(f"--warmup-epochs {options.warmup_epochs}: is more than --epochs {options.epochs}")


def bounds(low: float, high: float) -> str:
    least = "be above 0" if low == ABOVE_ZERO[0] else f"be at least {low:g}"
    if high == inf:
        return least
    most = "below 1" if high == BELOW_ONE[1] else f"at most {high:g}"
    return f"{least} and {most}"
