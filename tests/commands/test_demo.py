import shutil

import pytest

from twinsight.commands import demo
from twinsight.errors import UserError
from twinsight.options.commands import Demo


@pytest.fixture(scope="module")
def quick(tmp_path_factory):
    out = tmp_path_factory.mktemp("demo") / "out"
    demo.run(Demo(out=out, quick=True))
    return out


def test_the_demo_leaves_ordinary_runs_and_a_page(quick):
    assert (quick / "pretrain" / "backbone.safetensors").exists()
    for name in demo.HEADS:
        assert (quick / name / "model.safetensors").exists()
        assert (quick / name / "config.yaml").exists()
    html = (quick / "index.html").read_text()
    assert all(what in html for what in demo.HEADS.values())
    assert html.count("data:image/") >= 9


def test_the_demo_does_not_overwrite_silently(quick, tmp_path):
    with pytest.raises(UserError, match="--overwrite"):
        demo.run(Demo(out=quick, quick=True))
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(UserError, match="leaves it alone"):
        demo.run(Demo(out=tmp_path, quick=True, overwrite=True))
    assert (tmp_path / "mine.txt").exists()


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "of an earlier version"])
def test_a_demo_that_fails_leaves_the_old_one(quick, tmp_path, monkeypatch, marked):
    old = tmp_path / "demo"
    shutil.copytree(quick, old)
    if not marked:
        (old / ".twinsight").unlink()

    def fail(*_):
        assert not (old / "index.html").exists()
        raise UserError("no more")

    monkeypatch.setattr(demo, "write", fail)
    with pytest.raises(UserError, match="no more"):
        demo.run(Demo(out=old, quick=True, overwrite=True))
    assert (old / "index.html").read_bytes() == (quick / "index.html").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]
    (old / "mine.txt").write_text("keep me")
    with pytest.raises(UserError, match=r"contains mine\.txt"):
        demo.run(Demo(out=old, quick=True, overwrite=True))
