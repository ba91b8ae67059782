#!/usr/bin/env bash
# One would guess: conv2d in bfloat16 on a CPU equals the float32 result up to rounding, whatever the shapes.
# What happens: on processors with native bfloat16 (AVX-512 BF16), where a column of the output lies on padding alone, that
# column is not written at all; it holds whatever the memory held before. Kernel 2, stride 2, padding 1 on maps of width 1
# is such a case: every call of 50 was wrong, by up to 1e20. The gradient of the weights has the same fault for far more
# common layers, 3x3 with stride 2 and padding 1 on 1x1 maps (small crops through a ResNet): the taps that see padding alone
# have gradient 0, and get leftovers instead, up to NaN. With ONEDNN_MAX_CPU_ISA=AVX2 both are right, as is float32.
# Versions: torch 2.15.0, on an Intel Xeon with AMX. Seen:
#   outputs, 2x2 stride 2 padding 1 on 8x1: wrong in 50 of 50
#   outputs, 3x3 stride 2 padding 1 on 8x1: wrong in 0 of 50
#   weight gradients, 3x3 stride 2 padding 1 on 1x1: wrong in 300 of 300
#   with ONEDNN_MAX_CPU_ISA=AVX2: wrong in 0, 0 and 0
set -euo pipefail
grep -q avx512_bf16 /proc/cpuinfo || { echo "this processor has no AVX-512 BF16, where there is nothing to see"; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check torch==2.15.0 numpy==2.4.0
cat >"$folder/see.py" <<'PYTHON'
import sys

import torch
import torch.nn.functional as F

torch.manual_seed(0)


def off(found, true):
    found = found.double()
    return not bool(((found - true).abs() <= 0.1 * (true.abs() + 1)).all())  # NaN is off too


def outputs(kernel, size):
    wrong = 0
    for _ in range(50):
        x, weight = torch.randn(4, 16, *size).bfloat16(), torch.randn(16, 16, kernel, kernel).bfloat16()
        leftovers = [torch.full((1000,), 1e3) for _ in range(3)]
        del leftovers
        true = F.conv2d(x.double(), weight.double(), None, 2, 1)
        wrong += off(F.conv2d(x, weight, None, 2, 1), true)
    return wrong


def gradients():
    wrong = 0
    for _ in range(300):
        x, weight = torch.randn(8, 64, 1, 1).bfloat16(), torch.randn(64, 64, 3, 3).bfloat16().requires_grad_()
        leftovers = [torch.full((64, 64, 3, 3), 1e3).bfloat16() for _ in range(3)]
        del leftovers
        F.conv2d(x, weight, None, 2, 1).sum().backward()
        weight.grad[:, :, 1, 1] = 0  # the one tap that sees the pixel; all others see padding, whose gradient is 0
        wrong += not bool((weight.grad == 0).all())
    return wrong


two, three, taps = outputs(2, (8, 1)), outputs(3, (8, 1)), gradients()
print(f"outputs, 2x2 stride 2 padding 1 on 8x1: wrong in {two} of 50")
print(f"outputs, 3x3 stride 2 padding 1 on 8x1: wrong in {three} of 50")
print(f"weight gradients, 3x3 stride 2 padding 1 on 1x1: wrong in {taps} of 300")
expected = (two, three, taps) == (0, 0, 0) if sys.argv[1:] else two > 40 and three == 0 and taps > 0
sys.exit(not expected)
PYTHON
"$folder/venv/bin/python" "$folder/see.py"
echo "with ONEDNN_MAX_CPU_ISA=AVX2:"
ONEDNN_MAX_CPU_ISA=AVX2 "$folder/venv/bin/python" "$folder/see.py" avx2
