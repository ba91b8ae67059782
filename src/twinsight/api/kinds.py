"""What the functions take."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias, Union

if TYPE_CHECKING:
    from twinsight.api.dataset import Dataset
    from twinsight.api.model import Model

Data: TypeAlias = Union[str, os.PathLike[str], Mapping[str, Any], "Dataset"]
"""A folder, the name of a data set, its options with a name ({"name": "folder", "root": "x"}), or a `Dataset`."""

Source: TypeAlias = Union[str, os.PathLike[str], "Model"]
"""A model that is loaded, or what `load` takes."""
