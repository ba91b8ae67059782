import os
import stat
import subprocess
import sys

import pytest

from twinsight.files import whole, without_nan, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_nothing_changes_until_all_is_written(tmp_path):
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")
    with whole(file) as stream:
        stream.write(b"new")
        assert file.read_bytes() == b"old"
    assert file.read_bytes() == b"new"
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_file_as_it_was(tmp_path, error):
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")

    def fail():
        with whole(file) as stream:
            stream.write(b"half")
            raise error

    with pytest.raises(type(error)):
        fail()
    assert file.read_bytes() == b"old"
    assert names(tmp_path) == ["a.bin"]


def test_a_disk_that_is_full_only_when_the_file_is_synced(tmp_path, monkeypatch):
    write_text(tmp_path / "a.txt", "old")

    def full(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_file_and_folder_are_on_the_disk_before_and_after_the_renaming(tmp_path, monkeypatch):
    done = []
    sync, replace = os.fsync, os.replace

    def fsync(number):
        done.append("folder" if stat.S_ISDIR(os.fstat(number).st_mode) else "file")
        sync(number)

    def rename(source, target):
        done.append("rename")
        assert os.path.dirname(source) == os.path.dirname(target)
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    write_text(tmp_path / "a.txt", "text")
    assert done == (["file", "rename", "folder"] if os.name == "posix" else ["file", "rename"])


@pytest.mark.skipif(os.name != "posix", reason="modes are POSIX's")
def test_the_mode_follows_the_umask(tmp_path):
    before = os.umask(0o027)
    try:
        write_text(tmp_path / "a.txt", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_what_a_killed_process_left_is_taken_over(tmp_path):
    killed = "import os, sys; from pathlib import Path; from twinsight.files import whole\n"
    killed += "with whole(Path(sys.argv[1])) as stream: stream.write(b'half'); stream.flush(); os._exit(9)"
    file = tmp_path / "a.bin"
    file.write_bytes(b"old")
    assert subprocess.run([sys.executable, "-c", killed, str(file)], check=False).returncode == 9
    assert file.read_bytes() == b"old"
    write_text(file, "new")
    assert names(tmp_path) == ["a.bin"]
    assert file.read_text() == "new"


def test_text_is_utf8_with_its_own_line_ends(tmp_path):
    write_text(tmp_path / "a.txt", "é\r\nü\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\r\nü\n".encode()


def test_json_has_neither_nan_nor_infinity():
    assert without_nan({"a": [1.5, float("nan")], "b": (float("inf"), -float("inf"), "x")}) == {
        "a": [1.5, None],
        "b": [None, None, "x"],
    }
