"""A method, a head and a data set, each in one file outside the package, as CONTRIBUTING has them."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from twinsight.cli import main
from twinsight.errors import UserError
from twinsight.options.build import called, label
from twinsight.options.commands import DataCheck, Pretrain, Segment
from twinsight.options.describe import describe
from twinsight.options.from_file import from_file
from twinsight.options.parse import from_keywords, parse

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCKS = re.findall(r"^```python\n(.*?)^```$", "".join(page.read_text(encoding="utf-8") for page in PAGES), re.M | re.S)
SMALL = ["--backbone.channels", "4", "4", "4", "4", "--backbone.stem-width", "4", "--data.size", "32", "--workers", "0"]
SMALL += ["--data.count", "4", "--data.val-count", "2", "--batch-size", "2", "--epochs", "1", "--probe", "none"]


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The file of a class from CONTRIBUTING, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(class_name: str) -> str:
        name = f"{class_name.lower()}.py"
        Path(name).write_text(next(block for block in BLOCKS if f"class {class_name}(" in block), encoding="utf-8")
        return name

    yield write
    from_file.cache_clear()
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            sys.modules.pop(name)


def call(*argv: object) -> int:
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in argv])
    return int(stopped.value.code or 0)


def test_a_method_trains_is_kept_and_looked_into(own):
    method = own("Sphere")
    small = ["--method.dim", "8", "--method.hidden", "4", "--method.views.size", "32"]
    assert call("pretrain", "--method", method, "--run", "run", *small, *SMALL) == 0
    kept = yaml.safe_load(Path("run/config.yaml").read_text())["method"]
    assert (kept["name"], kept["dim"], kept["views"]["size"]) == (str(Path(method).resolve()), 8, 32)
    assert call("look", "correlation", "--weights", "run", "--sample", "4", "--data.count", "4") == 0
    assert call("pretrain", "--resume", "run", "--epochs", "2") == 0
    assert call("pretrain", "--method", method, "--dry-run", *small, *SMALL) == 0


def test_a_head_trains_and_is_evaluated(own):
    assert (
        call("segment", "--head", own("Mixer"), "--head.channels", "4", "--run", "run", "--augment.size", "32", *SMALL)
        == 0
    )
    assert call("evaluate", "run", "--workers", "0") == 0


def test_a_data_set_is_checked(own):
    data = own("Pets")
    rng = np.random.default_rng(0)
    for i, split in enumerate(("trainval", "trainval", "test", "test")):
        for folder, image in (
            ("images", Image.fromarray(rng.integers(0, 256, (20, 24, 3), np.uint8))),
            ("annotations/trimaps", Image.fromarray(rng.integers(1, 4, (20, 24), np.uint8))),
        ):
            Path("pets", folder).mkdir(parents=True, exist_ok=True)
            image.save(Path("pets", folder, f"{i}.{'jpg' if folder == 'images' else 'png'}"))
        with Path(f"pets/annotations/{split}.txt").open("a") as lines:
            lines.write(f"{i} 1 1 1\n")
    assert call("data", "check", "--data", data, "--data.root", "pets", "--data.tolerate", "1") == 0
    with pytest.raises(UserError, match=r"^--data\.root: is missing"):
        parse(DataCheck, "data check", ["--data", data])


def test_options_come_from_the_constructor(own):
    name = own("Sphere")
    options = parse(Pretrain, "pretrain", ["--method", name, "--method.hidden", "9"])
    assert (options.method.dim, options.method.hidden, label(options.method)) == (128, 9, "sphere")
    assert called(options.method) == Path(name).name
    listed = {option.flag: option for option in describe(Pretrain, {"method": type(options.method)})}
    assert listed["--method.hidden"].help == "Width of the projector's hidden layer."
    assert listed["--method.dim"].help == "Width of the projection."
    assert "--method.views.blur" in listed
    with pytest.raises(UserError, match=r"^--method\.dim 0: must be at least 1"):
        parse(Pretrain, "pretrain", ["--method", name, "--method.dim", "0"])
    with pytest.raises(UserError, match=r"^--method\.dmi: no such option; did you mean --method\.dim\?"):
        parse(Pretrain, "pretrain", ["--method", name, "--method.dmi", "3"])


def test_every_way_to_name_a_file_is_the_same(own):
    name = own("Sphere")
    want = parse(Pretrain, "pretrain", ["--method", name])
    Path("recipes").mkdir()
    Path("recipes/a.yaml").write_text(f"method: {Path(name).resolve()}\n")
    assert parse(Pretrain, "pretrain", ["--config", "recipes/a.yaml"]) == want
    assert parse(Pretrain, "pretrain", ["--method", f"{name}:Sphere"]).method.dim == want.method.dim
    assert from_keywords(Pretrain, "pretrain", {"method": Path(name)}) == want
    assert from_keywords(Pretrain, "pretrain", {"method": want.method}) == want
    given = from_keywords(Pretrain, "pretrain", {"method": sys.modules["sphere"].Sphere}).method
    assert (given.name, given.dim) == ("sphere:Sphere", 128)


def test_it_can_be_installed_as_a_package(own, tmp_path, monkeypatch):
    own("Mixer")
    monkeypatch.syspath_prepend(tmp_path)
    assert parse(Segment, "segment", ["--head", "mixer:Mixer", "--head.channels", "7"]).head.channels == 7


A = "class A:\n def __init__(self, backbone"


@pytest.mark.parametrize(
    ("code", "name", "sentence"),
    [
        (None, "none.py", "--method none.py: there is no such file; check the path"),
        ("x = 1", "empty.py", "--method .*empty.py: has no class whose __init__ takes backbone; add one"),
        (f"{A}): 0\nclass B(A): 0", "two.py", "holds A and B; say which, as in .*two.py:A"),
        (f"{A}): 0", "two.py:C", "has no class C whose __init__ takes backbone"),
        (f"{A}, x: dict): 0", "odd.py", "A's parameter x cannot be an option; annotate"),
        (f"{A}, x=1): 0", "bare.py", "A's parameter x cannot be an option; annotate"),
        ("", "json.py", "json.py: Python has another module named json; rename the file"),
    ],
)  # fmt: skip
def test_what_is_no_method(own, code, name, sentence):
    if code is not None:
        Path(name.partition(":")[0]).write_text(code)
    with pytest.raises(UserError, match=sentence):
        parse(Pretrain, "pretrain", ["--method", name])


@pytest.mark.parametrize("beside", [True, False])
def test_yaml_brings_no_code_along(own, tmp_path, beside):
    """A recipe from a stranger must not run the file that came with it."""
    file = Path(own("Sphere"))
    file.write_text("raise AssertionError('ran')\n", encoding="utf-8")
    (tmp_path / "sent").mkdir()
    recipe = tmp_path / "sent" / "recipe.yaml"
    named = file.resolve().rename(tmp_path / "sent" / file.name) if beside else file
    recipe.write_text(yaml.safe_dump({"method": {"name": str(named)}}), encoding="utf-8")
    with pytest.raises(UserError, match=r"--config .*recipe.yaml: method names .*sphere.py, and a YAML file may name"):
        parse(Pretrain, "pretrain", ["--config", str(recipe)])
