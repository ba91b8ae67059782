"""Against servers on loopback: one with ranges, one without, and ones that hang up halfway."""

import errno
import hashlib
import io
import re
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from PIL import Image

from twinsight.data import download as module
from twinsight.data import voc
from twinsight.data.download import download, extract
from twinsight.data.voc import Voc
from twinsight.errors import UserError

DATA = np.random.default_rng(0).bytes(1_000_003)
MD5 = "md5:" + hashlib.md5(DATA).hexdigest()
SHA256 = "sha256:" + hashlib.sha256(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `data` at every path but /404, at most `limit` bytes a connection, with or without ranges.

    starts: the first byte asked for, for each request.
    """

    def __init__(self, data, ranges=True, limit=None):
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.ranges, self.limit, self.starts = data, ranges, limit, []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self):
        data = self.server.data
        start = int(re.sub(r"\D", "", self.headers.get("Range", "0")))
        self.server.starts.append(start)
        if self.path == "/404":
            return self.send_error(404)
        if not self.server.ranges:
            start = 0
        if start and start >= len(data):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(data) - start))
        self.end_headers()
        end = len(data) if self.server.limit is None else start + self.server.limit
        self.wfile.write(data[start:end])

    def log_message(self, format, *args):
        pass


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    servers = []

    def start(*args, **options):
        servers.append(Server(*args, **options))
        threading.Thread(target=servers[-1].serve_forever, args=(0.01,), daemon=True).start()
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("checksum", [MD5, SHA256, MD5.upper().replace("MD5", "md5")])
def test_a_file_comes_whole_and_only_once(tmp_path, serve, checksum):
    server = serve(DATA)
    file = tmp_path / "new/a.tar"
    for _ in range(2):
        download(f"{server.url}/a.tar", file, checksum)
        assert file.read_bytes() == DATA
    assert server.starts == [0]
    assert [path.name for path in file.parent.iterdir()] == ["a.tar"]


def test_it_goes_on_where_an_earlier_one_broke_off(tmp_path, serve):
    server = serve(DATA)
    (tmp_path / "a.part").write_bytes(DATA[:400_000])
    download(server.url, tmp_path / "a", MD5)
    assert (tmp_path / "a").read_bytes() == DATA
    assert server.starts == [400_000]


def test_it_goes_on_while_each_connection_brings_something(tmp_path, serve):
    server = serve(DATA, limit=300_000)
    download(server.url, tmp_path / "a", MD5)
    assert (tmp_path / "a").read_bytes() == DATA
    assert server.starts == [0, 300_000, 600_000, 900_000]


def test_a_server_without_ranges_sends_the_whole_again(tmp_path, serve):
    server = serve(DATA, ranges=False)
    (tmp_path / "a.part").write_bytes(b"x" * 400_000)
    download(server.url, tmp_path / "a", MD5)
    assert (tmp_path / "a").read_bytes() == DATA
    assert server.starts == [400_000]


def test_a_part_that_is_complete_is_only_checked(tmp_path, serve):
    server = serve(DATA)
    (tmp_path / "a.part").write_bytes(DATA)
    download(server.url, tmp_path / "a", MD5)
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_connection_that_keeps_breaking_leaves_the_part(tmp_path, serve):
    server = serve(DATA, ranges=False, limit=300_000)
    with pytest.raises(UserError, match="keeps breaking; start again to continue at 300000 bytes"):
        download(server.url, tmp_path / "a", MD5)
    assert (tmp_path / "a.part").read_bytes() == DATA[:300_000]
    assert not (tmp_path / "a").exists()
    server.limit, server.ranges = None, True
    download(server.url, tmp_path / "a", MD5)
    assert (tmp_path / "a").read_bytes() == DATA


def test_a_wrong_checksum_leaves_nothing(tmp_path, serve):
    server = serve(DATA)
    with pytest.raises(UserError, match="the download does not match its checksum"):
        download(server.url, tmp_path / "a", "md5:" + "0" * 32)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_file_that_is_there_already_is_kept(tmp_path, serve):
    (tmp_path / "a").write_text("mine")
    with pytest.raises(UserError, match="does not match its checksum; remove it"):
        download(serve(DATA).url, tmp_path / "a", MD5)
    assert (tmp_path / "a").read_text() == "mine"


def test_no_such_page(tmp_path, serve):
    with pytest.raises(UserError, match="the server answers 404"):
        download(f"{serve(DATA).url}/404", tmp_path / "a", MD5)


@pytest.mark.parametrize("begun", [False, True])
def test_no_network(tmp_path, serve, begun):
    server = serve(DATA)
    server.shutdown()
    server.server_close()
    if begun:
        (tmp_path / "a.part").write_bytes(DATA[:1000])
    with pytest.raises(UserError, match="at 1000 bytes" if begun else "cannot be reached .*check the network"):
        download(server.url, tmp_path / "a", MD5)
    assert (tmp_path / "a.part").exists() == begun


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/a", "file:///etc/passwd", "a.tar"])
def test_only_http(tmp_path, url):
    with pytest.raises(UserError, match="is not an http or https address"):
        download(url, tmp_path / "a", MD5)


def test_a_full_disk(tmp_path, serve, monkeypatch):
    class Full(io.FileIO):
        def write(self, data):
            raise OSError(errno.ENOSPC, "No space left on device")

    server = serve(DATA)
    monkeypatch.setattr(module.Path, "open", lambda path, mode: Full(path, "a"))
    with pytest.raises(UserError, match=r"a\.part: cannot be written \(No space left on device\)"):
        download(server.url, tmp_path / "a", MD5)
    assert not (tmp_path / "a").exists()


def test_a_folder_that_cannot_be_made(tmp_path, serve):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        download(serve(DATA).url, tmp_path / "file/a", MD5)


def make_tar(path, members, kind="w"):
    with tarfile.open(path, kind) as opened:
        for name, content in members:
            member = tarfile.TarInfo(name)
            if isinstance(content, str):
                member.type, member.linkname = tarfile.SYMTYPE, content
                opened.addfile(member)
            else:
                member.size = len(content)
                opened.addfile(member, io.BytesIO(content))
    return path


def make_zip(path, members):
    with zipfile.ZipFile(path, "w") as opened:
        for name, content in members:
            opened.writestr(name, content)
    return path


GOOD = [("top/a.txt", b"one"), ("top/b/c.txt", b"two"), ("beside.txt", b"three")]


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz", "w:xz"])
def test_extract(tmp_path, kind):
    archive = tmp_path / "archive"
    make_zip(archive, GOOD) if kind == "zip" else make_tar(archive, GOOD, kind)
    extract(archive, tmp_path / "new/folder")
    files = [path for path in (tmp_path / "new/folder").rglob("*") if path.is_file()]
    found = {path.relative_to(tmp_path / "new/folder").as_posix(): path.read_bytes() for path in files}
    assert found == dict(GOOD)


EVIL = {
    "absolute": ("{outside}/evil", b"x"),
    "parent": ("../evil", b"x"),
    "hidden parent": ("top/../../evil", b"x"),
}


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize("evil", EVIL.values(), ids=EVIL)
def test_paths_that_lead_outside_are_refused(tmp_path, make, evil):
    name, content = evil
    archive = make(tmp_path / "archive", [*GOOD, (name.format(outside=tmp_path), content)])
    with pytest.raises(UserError, match=r"would write .*evil outside its folder"):
        extract(archive, tmp_path / "folder")
    assert not list(tmp_path.rglob("*evil*"))
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
@pytest.mark.parametrize("target", ["top/a.txt", "{outside}", "..", "../../secret", "/etc/passwd"])
def test_links_and_devices_are_refused_before_anything_is_written(tmp_path, monkeypatch, kind, target):
    """By our own look at the members, whatever the library's filter would let pass."""
    monkeypatch.setattr(tarfile.TarFile, "extractall", lambda *args, **keywords: pytest.fail("was unpacked"))
    archive = make_tar(tmp_path / "archive", GOOD)
    with tarfile.open(archive, "a") as opened:
        member = tarfile.TarInfo("link")
        member.type, member.linkname = kind, target.format(outside=tmp_path)
        opened.addfile(member)
    with pytest.raises(UserError, match="archive: contains link, a link or device"):
        extract(archive, tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []


@pytest.mark.parametrize("make", [make_tar, make_zip])
@pytest.mark.parametrize("name", ["C:\\evil", "top\\..\\..\\evil", "\\\\host\\share\\evil"])
def test_paths_that_lead_outside_on_windows_are_refused(tmp_path, make, name):
    archive = make(tmp_path / "archive", [*GOOD, (name, b"x")])
    with pytest.raises(UserError, match=r"would write .*evil outside its folder"):
        extract(archive, tmp_path / "folder")


@pytest.mark.parametrize("kind", ["zip", "w:gz", "many"])
def test_an_archive_that_unpacks_to_far_more_than_its_size_is_refused(tmp_path, monkeypatch, kind):
    archive, zeros = tmp_path / "archive", [("top/zeros", bytes(3 << 20))]
    if kind == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
            opened.writestr(*zeros[0])
    else:
        make_tar(archive, zeros if kind == "w:gz" else [(f"top/{i}", b"") for i in range(6000)], "w:gz")
    monkeypatch.setattr(tarfile.TarFile, "extractall", lambda *args, **keywords: pytest.fail("was unpacked"))
    with pytest.raises(UserError, match="archive: unpacks to more than 50 times its size"):
        extract(archive, tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []


def test_a_link_in_a_zip_is_never_followed(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    archive = make_zip(tmp_path / "archive", [(link, str(tmp_path))])
    extract(archive, tmp_path / "folder")
    assert not (tmp_path / "folder/link").is_symlink()


@pytest.mark.parametrize("kind", ["zip", "w", "w:gz"])
def test_a_truncated_archive_leaves_nothing(tmp_path, kind):
    archive = tmp_path / "archive"
    members = [("top/a", DATA), ("top/b", DATA)]
    make_zip(archive, members) if kind == "zip" else make_tar(archive, members, kind)
    archive.write_bytes(archive.read_bytes()[:1_200_000])
    with pytest.raises(UserError, match="archive: cannot be unpacked"):
        extract(archive, tmp_path / "folder")
    assert list((tmp_path / "folder").iterdir()) == []


def test_nothing_is_overwritten(tmp_path):
    archive = make_tar(tmp_path / "archive", GOOD)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/beside.txt").write_text("mine")
    with pytest.raises(UserError, match=r"beside\.txt: already exists"):
        extract(archive, tmp_path / "folder")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["beside.txt"]
    assert (tmp_path / "folder/beside.txt").read_text() == "mine"


def test_a_folder_that_cannot_be_written(tmp_path):
    archive = make_tar(tmp_path / "archive", GOOD)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="file/folder: cannot be written"):
        extract(archive, tmp_path / "file/folder")


def test_voc_from_an_archive_on_loopback(tmp_path, serve, monkeypatch):
    """From an archive in VOC's layout to samples over a connection that breaks, and no second visit."""
    made = tmp_path / "VOC2012"
    for name in ("JPEGImages/a.jpg", "SegmentationClass/a.png"):
        (made / name).parent.mkdir(parents=True)
        Image.new("RGB" if name.endswith("jpg") else "L", (17, 12), 15).save(made / name)
    (made / "ImageSets/Segmentation").mkdir(parents=True)
    (made / "ImageSets/Segmentation/val.txt").write_text("a\n")
    archive = tmp_path / "archive.tar"
    with tarfile.open(archive, "w") as opened:
        opened.add(made, "VOCdevkit/VOC2012")
    server = serve(archive.read_bytes(), limit=5000)
    monkeypatch.setattr(voc, "URL", f"{server.url}/VOCtrainval.tar")
    monkeypatch.setattr(voc, "CHECKSUM", "md5:" + hashlib.md5(archive.read_bytes()).hexdigest())
    root = tmp_path / "data"
    with pytest.raises(UserError, match="holds no PASCAL VOC 2012"):
        Voc(root, "val")
    for _ in range(2):
        (sample,) = Voc(root, "val", download=True)
        assert sample.id == "a"
        assert (sample.mask == 15).all()
    assert server.starts == list(range(0, len(archive.read_bytes()), 5000))
    assert sorted(path.name for path in root.iterdir()) == ["VOCdevkit", "VOCtrainval.tar"]
