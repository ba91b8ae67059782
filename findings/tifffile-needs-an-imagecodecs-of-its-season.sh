#!/usr/bin/env bash
# One would guess: any tifffile works with any imagecodecs that pip installs beside it, or pip says that they do not fit.
# What happens: the two agree on the arguments of the codec for packed bits, which changed its name ("axis" became
# "runlen"), and neither package demands a version of the other. With partners a year apart, either way round, 12-bit
# images (microscopes, X-rays) can be neither written nor read, 8- and 16-bit ones as before, and `pip check` finds
# nothing wrong. So state a lower bound for both, of the same months.
# Versions: tifffile 2026.3.3 and 2025.3.30, imagecodecs 2026.3.6 and 2025.3.30, NumPy 2.3.5. Seen:
#   tifffile 2026.3.3, imagecodecs 2025.3.30: 16 bits ok, 12 bits TypeError: packints_encode() got an unexpected keyword argument 'runlen'
#   tifffile 2025.3.30, imagecodecs 2026.3.6: 16 bits ok, 12 bits TypeError: packints_encode() got an unexpected keyword argument 'axis'
#   tifffile 2026.3.3, imagecodecs 2026.3.6: 16 bits ok, 12 bits ok
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
for pair in "2026.3.3 2025.3.30 runlen" "2025.3.30 2026.3.6 axis" "2026.3.3 2026.3.6 ok"; do
  read -r tifffile imagecodecs expected <<<"$pair"
  "$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    tifffile=="$tifffile" imagecodecs=="$imagecodecs" numpy==2.3.5
  "$folder/venv/bin/pip" check --disable-pip-version-check >/dev/null
  "$folder/venv/bin/python" - "$expected" <<'PYTHON'
import io
import sys

import imagecodecs
import numpy as np
import tifffile

pixels = (np.arange(35).reshape(5, 7) * 117 % 4096).astype(np.uint16)


def written_and_read(bits: int) -> str:
    file = io.BytesIO()
    try:
        tifffile.imwrite(file, pixels, bitspersample=bits)
        file.seek(0)
        return "ok" if (tifffile.imread(file) == pixels).all() else "other pixels"
    except TypeError as error:
        return f"TypeError: {error}"


seen = {bits: written_and_read(bits) for bits in (16, 12)}
versions = f"tifffile {tifffile.__version__}, imagecodecs {imagecodecs.__version__}"
print(f"{versions}: 16 bits {seen[16]}, 12 bits {seen[12]}")
sys.exit(0 if seen[16] == "ok" and sys.argv[1] in seen[12] else 1)
PYTHON
done
