"""How a folder given to --data is read, and how else it could be: what `twinsight data detect` answers."""

from collections import Counter
from pathlib import Path
from typing import Any

from twinsight.data.exports.survey import Survey
from twinsight.data.pairing import IMAGE_FOLDER, MASK_FOLDER
from twinsight.data.splits import ROLES
from twinsight.errors import UserError
from twinsight.options.data import DATA
from twinsight.options.detect import detect, readings


def explain(folder: Path) -> dict[str, Any]:
    """The answer, as `data detect --json` prints it.

    data: the name of the reading that --data takes, or None if two are possible. why: what speaks for it. problem: why
    it cannot be opened as it is, or None. others: further readings, each with the options that force it.
    looked_at: what was looked at. Raises UserError if there is no such folder.
    """
    survey = Survey(folder)
    found = readings(survey) if folder.is_dir() else {}
    chosen = detect(folder, "folder") if len(found) < 2 else None
    answer: dict[str, Any] = {"folder": str(folder), "data": chosen, "title": None, "classes": [], "images": None}
    if chosen is None:
        answer |= {
            "why": "several readings are possible",
            "splits": None,
            "problem": f"{folder}: can be read in {len(found)} ways; choose one by its options",
        }
    else:
        answer |= {"why": why(chosen, found)} | opened(chosen, folder)
    also = dict(found) | {"folder": "images, with masks where folders or names pair them", **by_class(survey)}
    others = [
        {"data": name, "title": title, "options": f"--data {name} --data.root {folder}"}
        for name, title in also.items()
        if name != chosen
    ]
    kinds = Counter(Path(file).suffix.lower() or "none" for file in survey.files)
    looked_at = {"files": len(survey.files), "folders": len(survey.folders), "extensions": dict(kinds.most_common(8))}
    options = f"--data {chosen} --data.root {folder}" if chosen else None
    return {**answer, "options": options, "others": others, "looked_at": looked_at}


def in_lines(answer: dict[str, Any]) -> str:
    """The answer for people."""
    folder, looked = answer["folder"], answer["looked_at"]
    kinds = ", ".join(f"{count} {kind}" for kind, count in looked["extensions"].items())
    if answer["title"]:
        counts = [f"{len(answer['classes'])} classes"] if answer["classes"] else []
        counts += [f"{answer['images']} images" + (f": {answer['splits']}" if answer["splits"] else "")]
        lines = [f"{folder}: {answer['title']}, {', '.join(counts)}"]
        lines += [f"classes: {', '.join(answer['classes'])}"] if answer["classes"] else []
    else:
        lines = [f"{folder}: {answer['data'] or 'not decided'}"]
    lines += [f"why: {answer['why']}"]
    lines += [f"looked at: {looked['files']} files in {looked['folders']} folders" + (f" ({kinds})" if kinds else "")]
    lines += [f"same as: {answer['options']}"] if answer["data"] else []
    lines += [f"or else: {other['title']}, by {other['options']}" for other in answer["others"]]
    return "\n".join(lines)


def why(chosen: str, found: dict[str, str]) -> str:
    if chosen in found:
        return f"its files are those of {chosen} ({(DATA[chosen].__doc__ or '').strip().splitlines()[0].rstrip('.')})"
    return "it holds no export of an annotation tool, and no public data set"


def opened(name: str, folder: Path) -> dict[str, Any]:
    """What opening the folder finds: title, classes, images of all splits, the splits in words, or what is wrong."""
    try:
        train = DATA[name](root=folder).open("train")
    except UserError as error:
        return {"splits": None, "problem": str(error)}
    return {
        "title": train.title or name,
        "classes": list(train.classes),
        "images": len(train.relatives) or len(train),
        "splits": train.split_note or None,
        "problem": None,
    }


def by_class(survey: Survey) -> dict[str, str]:
    """A folder per class, as it might be meant, if there are two folders of images whose names say nothing else."""
    names = {folder for folder in survey.folders if folder != "." and "/" not in folder}
    plain = [name for name in names if name.lower() not in ROLES and not any_of(name)]
    return {"class-folder": "a folder of images for each class"} if len(plain) > 1 and len(plain) == len(names) else {}


def any_of(name: str) -> bool:
    return bool(MASK_FOLDER.fullmatch(name) or IMAGE_FOLDER.fullmatch(name))
