"""Options of the attention term."""

from dataclasses import dataclass
from typing import ClassVar

from twinsight.options.build import Buildable
from twinsight.options.ranges import Index, NotNegative


@dataclass(frozen=True)
class AttentionTermOptions(Buildable):
    """Attention term, added to the loss of any method on a vision transformer."""

    target: ClassVar = "twinsight.methods.attention_term:AttentionTerm"
    not_arguments: ClassVar = ()
    sharpness: NotNegative = 0.0
    """Weight of sharpness: each head looks at few patches (normalized entropy). 0: off."""
    diversity: NotNegative = 0.0
    """Weight of diversity: heads look at different patches (1 - their Jensen-Shannon divergence). 0: off."""
    consistency: NotNegative = 0.0
    """Weight of consistency: a head looks at the same place in both views (Jensen-Shannon divergence where their crops
    overlap). 0: off."""
    blocks: tuple[Index, ...] = (-1,)
    """Blocks whose heads the term applies to, counted from 0; -1 is the last."""

    @property
    def asked(self) -> bool:
        return any((self.sharpness, self.diversity, self.consistency))
