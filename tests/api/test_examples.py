"""The examples in docstrings run."""

import doctest
import inspect

import numpy as np

import twinsight

OBJECTS = (
    "pretrain", "segment", "load", "evaluate", "look", "Dataset.open", "Model.predict", "Model.embed", "Model.features",
    "Model.attention", "Run",
)  # fmt: skip
"""In the order of a first hour: later ones use the runs of earlier ones."""


def test_examples(tmp_path):
    known = {"twinsight": twinsight, "np": np, "folder": tmp_path}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for name in OBJECTS:
        found = twinsight
        for part in name.split("."):
            found = getattr(found, part)
        test = doctest.DocTestParser().get_doctest(inspect.getdoc(found) or "", known, name, None, 0)
        assert test.examples, f"{name} has no example"
        result = runner.run(test, clear_globs=False)
        known = test.globs
        assert not result.failed, name
