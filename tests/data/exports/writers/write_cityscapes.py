"""Writes the table of labels of cityscapesScripts as JSON: write_cityscapes.py FILE."""

import json
import sys
from pathlib import Path

from cityscapesscripts.helpers.labels import labels

Path(sys.argv[1]).write_text(json.dumps([label._asdict() for label in labels]))
