"""No method: the network as it is before any training."""

from dataclasses import dataclass
from typing import Literal

from twinsight.options.build import Buildable


@dataclass(frozen=True)
class UntrainedOptions(Buildable):
    """No training: the network with random or given weights, to compare others with."""

    name: Literal["none"] = "none"
