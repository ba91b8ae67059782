"""twinsight: see what self-supervision sees."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers; at run time each name is imported on first use
    from twinsight.api.dataset import Dataset
    from twinsight.api.evaluation import Evaluation
    from twinsight.api.looking import look
    from twinsight.api.model import Model
    from twinsight.api.models import evaluate, load
    from twinsight.api.prediction import Prediction
    from twinsight.api.run import Run
    from twinsight.api.training import pretrain, segment
    from twinsight.errors import UserError
    from twinsight.probes.finding import Finding
    from twinsight.probes.side_by_side import Findings

__version__ = "0.1.0"

_MODULES = {
    "Dataset": "api.dataset",
    "Evaluation": "api.evaluation",
    "Finding": "probes.finding",
    "Findings": "probes.side_by_side",
    "Model": "api.model",
    "Prediction": "api.prediction",
    "Run": "api.run",
    "UserError": "errors",
    "evaluate": "api.models",
    "load": "api.models",
    "look": "api.looking",
    "pretrain": "api.training",
    "segment": "api.training",
}
"""The public names and their modules."""

__all__ = [
    "Dataset", "Evaluation", "Finding", "Findings", "Model", "Prediction", "Run", "UserError",
    "evaluate", "load", "look", "pretrain", "segment",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'twinsight' has no attribute {name!r}")
    found = getattr(import_module(f"twinsight.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
