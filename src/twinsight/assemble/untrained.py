"""A run of `twinsight pretrain --method none`: the network as it is before any training, to compare others with."""

from dataclasses import replace
from pathlib import Path

import lightning.pytorch as pl

from twinsight.assemble.checks import Checked
from twinsight.assemble.open import make_backbone
from twinsight.assemble.opening import announce, data_set, network, splits
from twinsight.assemble.planning import print_facts
from twinsight.assemble.pretraining import BACKBONE
from twinsight.assemble.training import announce_end
from twinsight.backbones.weights import save_backbone
from twinsight.console import RANK, tell
from twinsight.data.samples import Dataset
from twinsight.options.build import called
from twinsight.options.commands import Pretrain
from twinsight.report.runs import report_run


def write(options: Pretrain, checked: Checked[Dataset]) -> Path | None:
    """Write a run whose backbone has the weights that any method begins with: given ones, or random by --seed.

    Returns its directory; None for a dry run.
    """
    run, data = checked.run, checked.data()
    options = replace(options, data=options.data.settled(data))
    origin = network(options.backbone, options.weights)
    announce("pretrain", data_set(options.data, splits(data), data), f"none, {origin}", f"run {run.folder}")
    tell("--method none: trains nothing; options of a training, such as --epochs and --lr, are unused")
    pl.seed_everything(options.seed, verbose=False)
    backbone = make_backbone(options.backbone, options.weights)
    if options.dry_run:
        size = sum(each.numel() for each in backbone.parameters()) / 1e6
        print_facts(
            {
                "method": "none",
                "backbone": f"{backbone.name}, embedding {backbone.dim}",
                "data": f"{called(options.data)}, {len(data)} images",
                "parameters": f"{size:.2f} M, none of them trained",
            }
        )
        return None
    with run.training(options, "pretrain"):
        if RANK == 0:
            save_backbone(backbone, run.folder / BACKBONE)
            report_run(run.folder)
    announce_end("done", run, "pretrain", str(run.folder / BACKBONE))
    return run.folder
