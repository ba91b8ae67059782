"""Options of distillation."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from twinsight.errors import UserError
from twinsight.options.build import Buildable
from twinsight.options.methods.views import OneViewOptions
from twinsight.options.ranges import NotNegative, Width


@dataclass(frozen=True)
class DistillOptions(Buildable):
    """Distillation: learn the features of a trained network, the teacher."""

    target: ClassVar = "twinsight.methods.distill:Distill"
    not_arguments: ClassVar = ("name", "teacher")
    given: ClassVar = ("teacher",)
    name: Literal["distill"] = "distill"
    teacher: Path | None = None
    """Network to learn from: a run directory, a weights file, an official name (listed by `twinsight weights`) or a
    timm model, with its weights. Stays as it is."""
    global_weight: NotNegative = 1.0
    """Weight of the cosine distance between embeddings of whole images."""
    local_weight: NotNegative = 1.0
    """Weight of the cosine distance between features of patches or pixels."""
    hidden: Width | None = None
    """Width of a hidden layer in the projections to the teacher's features. Default: none, so they are linear."""
    views: OneViewOptions = field(default_factory=OneViewOptions)

    def check(self) -> None:
        """Raises UserError for options from which nothing can be learned."""
        if not self.global_weight and not self.local_weight:
            raise UserError("--method.global-weight 0: leaves no loss with --method.local-weight 0; raise one")
