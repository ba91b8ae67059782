import os
from zipfile import ZipFile

import pytest
import torch
from tiny import Tiny, fit, load, same

from twinsight.backbones.integrity import damaged, seal
from twinsight.errors import UserError
from twinsight.runs.directory import Run
from twinsight.training import checkpoints
from twinsight.training.checkpoints import read_checkpoint
from twinsight.training.export import finished


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoints") / "run"
    fit(folder, Tiny(), epochs=1)
    return folder


def test_no_flipped_bit_goes_unseen(tmp_path):
    """Not one of any byte, wherever in the file; and torch reads the file as ever."""
    state = {"weights": torch.randn(8), "nested": {"counts": torch.arange(3), "list": [1, 2.5, "text"]}}
    good, bad = tmp_path / "good.ckpt", tmp_path / "bad.ckpt"
    with good.open("w+b") as stream:
        torch.save(state, stream)
        seal(stream)
    assert not damaged(good)
    assert same(torch.load(good, weights_only=True), state)
    assert same(torch.load(good, weights_only=True, mmap=True), state)
    assert ZipFile(good).testzip() is None
    content = good.read_bytes()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << place % 8
        bad.write_bytes(flipped)
        assert damaged(bad), place
    for size in range(0, len(content), 7):
        bad.write_bytes(content[:size])
        assert damaged(bad), size


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "zeros", "text"])
def test_a_damaged_checkpoint_is_refused(run, tmp_path, how):
    good = (run / "checkpoints/last.ckpt").read_bytes()
    middle = len(good) // 2
    bad = {
        "flipped": good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :],
        "cut": good[:middle],
        "empty": b"",
        "zeros": good[:middle] + bytes(64) + good[middle + 64 :],
        "text": b"version https://git-lfs.github.com/spec/v1\n",
    }[how]
    copy = Run(tmp_path / "copy")
    copy.checkpoints.mkdir(parents=True)
    copy.last.write_bytes(bad)
    said = "is damaged" if how in ("flipped", "zeros") else "cannot be read as a checkpoint"
    with pytest.raises(UserError, match=rf"last.ckpt: {said}.*start again with a new --run"):
        finished(copy, "backbone.safetensors", 9)
    (copy.checkpoints / "best-3.ckpt").write_bytes(good)
    with pytest.raises(UserError, match=r"best-3.ckpt is intact: copy it to .*last.ckpt and repeat --resume"):
        read_checkpoint(copy.last)


def test_what_is_no_checkpoint_of_a_training(tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "last.ckpt")
    with pytest.raises(UserError, match="cannot be read as a checkpoint of a training"):
        read_checkpoint(tmp_path / "last.ckpt")


def test_what_reads_back_otherwise_does_not_replace_the_checkpoint_before(tmp_path, monkeypatch):
    """A disk that takes everything and keeps something else."""
    save = checkpoints.seal

    def bad(stream):
        save(stream)
        if load(tmp_path / "run", ".last.ckpt.tmp")["global_step"] > 2:
            stream.seek(-2000, os.SEEK_END)
            stream.write(b"?")
            stream.flush()

    monkeypatch.setattr(checkpoints, "seal", bad)
    with pytest.raises(UserError, match=r"does not read back as written.*free disk space or check the disk"):
        fit(tmp_path / "run", Tiny(), checkpoint_minutes=1e-9)
    assert load(tmp_path / "run")["global_step"] == 2
    assert [file.name for file in (tmp_path / "run/checkpoints").iterdir()] == ["last.ckpt"]


def test_a_copy_of_a_checkpoint_is_one(run, tmp_path):
    """No file beside it is needed: what somebody keeps under another name, or brings back, is taken."""
    copy = Run(tmp_path / "copy")
    copy.checkpoints.mkdir(parents=True)
    copy.last.write_bytes((run / "checkpoints/last.ckpt").read_bytes())
    assert not finished(copy, "backbone.safetensors", 2)
    assert finished(copy, "backbone.safetensors", 1)


def test_a_checkpoint_of_an_older_version_is_taken_with_a_remark(run, tmp_path, capfd):
    torch.save(load(run), tmp_path / "last.ckpt")
    assert same(read_checkpoint(tmp_path / "last.ckpt")["state_dict"], load(run)["state_dict"])
    assert "last.ckpt: has no checksum" in capfd.readouterr().err


@pytest.mark.parametrize("content", [b"", b"junk", b"not a checkpoint at all\n", b"0", b"\x80\x02].", b"(dp1\n."])
def test_a_file_that_is_no_checkpoint_is_named(tmp_path, content):
    (tmp_path / "last.ckpt").write_bytes(content)
    with pytest.raises(UserError, match=r"last.ckpt: cannot be read as a checkpoint of a training"):
        read_checkpoint(tmp_path / "last.ckpt")
