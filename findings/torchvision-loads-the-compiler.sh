#!/usr/bin/env bash
# One would guess: importing torchvision, or timm, which imports it, leaves torch.compile alone until someone calls it, as
# importing torch does.
# What happens: `import torchvision` loads torch._dynamo, parts of torch._inductor and all of sympy: nearly as many modules
# again as torch itself. One import in torchvision/ops/roi_align.py does it, above a wrapper meant to keep the compiler from
# being loaded early. So each command line and each test process that imports torchvision or timm pays for a compiler that it
# may never use; what needs neither should not import them.
# Versions: torch 2.15.0, torchvision 0.29.2, timm 1.0.31, NumPy 2.4.0, Python 3.11. Seen (other machines may differ by a few):
#   import torch: 1214 modules, torch._dynamo 0, torch._inductor 0, sympy 0
#   import torchvision: 2307 modules, torch._dynamo 97, torch._inductor 24, sympy 420
#   import timm: 2724 modules, torch._dynamo 97, torch._inductor 24, sympy 420
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.15.0 torchvision==0.29.2 timm==1.0.31 numpy==2.4.0
cat >"$folder/see.py" <<'PYTHON'
import importlib
import sys

package, expected = sys.argv[1:]
importlib.import_module(package)
counts = {
    part: sum(name == part or name.startswith(part + ".") for name in sys.modules)
    for part in ("torch._dynamo", "torch._inductor", "sympy")
}
shown = ", ".join(f"{part} {count}" for part, count in counts.items())
print(f"import {package}: {len(sys.modules)} modules, {shown}")
loaded = [count > 0 for count in counts.values()]
sys.exit(not (all(loaded) if expected == "loaded" else not any(loaded)))
PYTHON
"$folder/venv/bin/python" "$folder/see.py" torch free
"$folder/venv/bin/python" "$folder/see.py" torchvision loaded
"$folder/venv/bin/python" "$folder/see.py" timm loaded
