"""Imported first by a writer: stands in for what the tools import and never use here, a gigabyte of wheels.

labelme imports Qt and ONNX Runtime wherever it is imported; Qt fails too where the machine has no libGL. Label Studio
imports NLTK, for text.
"""

import sys
from unittest.mock import MagicMock

QT = ("PyQt5", "PyQt5.QtCore", "PyQt5.QtGui", "PyQt5.QtWidgets")
NLTK = ("nltk", "nltk.tokenize", "nltk.tokenize.treebank")

for name in (*QT, "onnxruntime", *NLTK):
    sys.modules[name] = MagicMock()
