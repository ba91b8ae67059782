"""Two processes with half of each view are as one with all: losses over the global batch, in one spawn for all."""

from functools import partial
from importlib.util import find_spec

import pytest
import test_byol
import test_lejepa
import test_moco_v3
import test_simclr
import test_simsiam
import test_swav
import test_vicreg
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from by_hand import Trunk, batches
from torch.nn.parallel import DistributedDataParallel

from twinsight.backbones.backbone import Backbone
from twinsight.methods.angular import Angular
from twinsight.methods.arcface import ArcFace
from twinsight.methods.distill import Distill
from twinsight.methods.method import wants_labels
from twinsight.methods.subcenter_arcface import SubcenterArcFace
from twinsight.methods.supervised import Supervised


def vit() -> Backbone:
    torch.manual_seed(0)  # which the networks below it follow
    return Backbone("test_vit", img_size=32)


CASES = {
    "vicreg": (test_vicreg.method, (6, 6), (0.5,)),
    "simclr": (test_simclr.method, (6, 6), (0.5,)),
    "lejepa": (test_lejepa.method, test_lejepa.SIZES, (0.5, 0.5)),
    "moco-v3": (test_moco_v3.method, (6, 6), (0.5,)),  # the keys of both are negatives for each
    "byol": (test_byol.method, (6, 6), (0.5,)),
    "simsiam": (test_simsiam.method, (6, 6), (0.5,)),
    "distill": (lambda: Distill(vit(), Backbone("test_resnet"), None, hidden=9), (32,), (0.5,)),
    "supervised": (lambda: Supervised(Trunk(), 3, None), (6,), (0.5,)),
    # Without its queue, which has an odd length; filled by two steps and used by the third.
    "swav": (partial(test_swav.method, queue_length=11, queue_start=0.1), test_swav.SIZES, (0.05, 0.5, 0.5, 0.5)),
}
if find_spec("pytorch_metric_learning"):  # in `pip install twinsight[dev]`
    CASES |= {
        "arcface": (lambda: ArcFace(Trunk(), 3, None), (6,), (0.5,)),
        "subcenter-arcface": (lambda: SubcenterArcFace(Trunk(), 3, None), (6,), (0.5,)),
        "angular": (lambda: Angular(Trunk(), 3, None), (6,), (0.5,)),  # pairs of images of both processes
    }
"""What is made, the sizes of its views, and the progress at each of its steps."""

LABELS = torch.tensor([0, 1, 2, 0, 1, 1, 0, 2])


def steps(wrap, rank=0, count=1):
    """For each method: the gradients of each step, and the buffers after the last."""
    found = {}
    for name, (make, sizes, progress) in CASES.items():
        made = make().double()
        torch.manual_seed(rank)  # the noise of each process; LeJEPA's directions are those of the first
        model, gradients = wrap(made), []
        labels = {"labels": LABELS.chunk(count)[rank]} if wants_labels(made) else {}
        views = [view.chunk(count)[rank] for view in batches(8, sizes)]
        for at in progress:
            model.zero_grad()
            model(views, progress=at, **labels)["loss"].backward()
            gradients.append({name: p.grad.clone() for name, p in made.named_parameters() if p.grad is not None})
        found[name] = gradients, dict(made.named_buffers())
    return found


def rank_of_two(rank, folder):
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    found = steps(DistributedDataParallel, rank, 2)
    dist.destroy_process_group()
    return found


@pytest.fixture(scope="module")
def second(tmp_path_factory):
    folder = tmp_path_factory.mktemp("processes")
    other = mp.spawn(rank_of_two, args=(str(folder),), nprocs=1, join=False)  # its rank is 0
    found = rank_of_two(1, folder)
    other.join()
    return found


@pytest.fixture(scope="module")
def alone():
    return steps(lambda made: made)


@pytest.mark.parametrize("name", CASES)
def test_gradients_and_buffers_are_those_of_one(second, alone, name):
    (found, buffers), (expected, kept) = second[name], alone[name]
    for theirs, ours in zip([*found, buffers], [*expected, kept], strict=True):
        assert theirs.keys() == ours.keys()
        for each, value in ours.items():
            torch.testing.assert_close(theirs[each], value, rtol=1e-9, atol=1e-12, msg=each)
