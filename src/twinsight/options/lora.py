"""Options of low-rank adapters."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from twinsight.errors import UserError
from twinsight.options.build import Buildable
from twinsight.options.ranges import BelowOne, Positive, Range


@dataclass(frozen=True)
class LoraOptions(Buildable):
    """Low-rank adapters (LoRA), trained in place of the backbone's weights (pip install 'twinsight[lora]')."""

    target: ClassVar = "twinsight.backbones.lora:Lora"
    not_arguments: ClassVar = ()
    rank: Annotated[int, Range(0, 4096)] = 0
    """Train adapters of this rank (LoRA, usually 4 to 16) and freeze the backbone's own weights. 0: no adapters.
    --lr auto is 1e-3 then."""
    alpha: Positive = 16.0
    """What an adapter adds is multiplied by this over the rank."""
    dropout: BelowOne = 0.0
    """Probability of dropping an input of an adapter."""
    layers: Literal["attention", "all"] | None = None
    """Linear layers that get an adapter: those of attention (queries, keys, values and the projection), or all.
    Default: those of attention, or all where there is none."""

    def check(self) -> None:
        """Raises UserError for options without a rank."""
        if not self.rank and self != LoraOptions():
            raise UserError("--lora: does nothing without a rank; give one, such as --lora.rank 8")
