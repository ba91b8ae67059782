"""The outcome of `data check` for other programs."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twinsight.data.check import VERDICTS, Checkup, verdict
from twinsight.data.checkup.collection import Region
from twinsight.data.checkup.findings import Finding
from twinsight.data.samples import VOID
from twinsight.files import write_text


def write_json(file: Path, checkups: Mapping[str, Checkup], shared: Sequence[Finding]) -> None:
    """shared: findings on both splits."""
    findings = [finding for checkup in checkups.values() for finding in checkup.findings] + [*shared]
    word = verdict(findings)
    whole = {
        "verdict": word,
        "advice": VERDICTS[word],
        "splits": {split: split_of(checkup) for split, checkup in checkups.items()},
        "shared": [finding_of(finding) for finding in shared],
    }
    write_text(file, json.dumps(whole, indent=2) + "\n")


def split_of(checkup: Checkup) -> dict[str, Any]:
    facts, tally = checkup.facts, checkup.facts.tally
    return {
        "verdict": checkup.verdict,
        "samples": facts.total,
        "broken": len(facts.broken),
        "height": range_of(checkup, 0),
        "width": range_of(checkup, 1),
        "kinds": dict(facts.kinds()),
        "classes": [
            {
                "label": label,
                "name": name,
                "pixels": int(tally.pixels[label]),
                "images": int(tally.images[label]),
                "smallest_region": region_of(facts.smallest.get(label)),
                "largest_region": region_of(facts.largest.get(label)),
            }
            for label, name in [*enumerate(facts.dataset.classes), (VOID, "void")]
            if facts.dataset.classes
        ],
        "findings": [finding_of(finding) for finding in checkup.findings],
    }


def range_of(checkup: Checkup, axis: int) -> dict[str, int] | None:
    sides = sorted(checkup.sizes[:, axis].tolist())
    return {"least": sides[0], "median": sides[len(sides) // 2], "most": sides[-1]} if sides else None


def region_of(region: Region | None) -> dict[str, Any] | None:
    return None if region is None else {"pixels": region.area, "file": str(region.file)}


def finding_of(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "weight": finding.weight,
        "count": finding.count,
        "text": finding.text,
        "files": [{"image": str(e.image), "mask": str(e.mask) if e.mask else None} for e in finding.entries],
        "sentences": [*finding.more],
    }
