"""In processes of their own, since what has been imported once stays."""

import os
import subprocess
import sys

import pytest


def python(code: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


@pytest.mark.parametrize("command", ["predict", "evaluate", "look", "weights"])
def test_a_command_starts_without_what_only_trainings_need(command):
    code = f"""
import sys
import torch
before = set(sys.modules)  # PyTorch 2.6 imports sympy by itself
import twinsight.commands.{command}
heavy = {{"lightning", "torch._dynamo", "torch._inductor", "wandb", "scipy", "sympy"}}
print(*sorted(heavy & set(sys.modules) - before))
"""
    assert python(code).split() == []


def test_what_stands_in_is_the_real_thing_once_used():
    code = """
import sys
import torch
from twinsight.backbones.light_timm import timm
from torchvision.ops import roi_align
from timm.layers.typing import disable_compiler

assert "torch._dynamo" not in sys.modules
boxes = torch.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]])
print(roi_align(torch.ones(1, 3, 8, 8), boxes, 2).mean().item())
print(disable_compiler(lambda x: x + 1)(1))
print(torch.compile(timm.create_model("test_vit"), backend="eager")(torch.zeros(1, 3, 160, 160)).shape[0])
print(sys.modules["torch._dynamo"].__file__.endswith("__init__.py"))
"""
    assert python(code).split() == ["1.0", "2", "1", "True"]


ANOTHER_TORCH = """
import torch._compile
private = torch._compile._disable_dynamo
def changed(*_):
    torch._compile._disable_dynamo = private
    raise TypeError("takes other arguments")
torch._compile._disable_dynamo = changed
from twinsight.backbones.light_timm import timm
assert torch._compile._disable_dynamo is private, "was never called"
timm.create_model("test_resnet").eval()(torch.zeros(1, 3, 32, 32))
"""


def test_another_pytorch_gets_timm_as_it_is():
    subprocess.run([sys.executable, "-c", ANOTHER_TORCH], check=True)
