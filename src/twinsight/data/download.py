"""Downloads, checks and unpacks archives, all or nothing."""

import hashlib
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterable
from http.client import HTTPException
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from twinsight.errors import UserError

TIMEOUT = 30
"""Seconds without data after which a connection counts as broken."""

CHUNK = 1 << 18

EXPANSION = 50
"""How many times its size an archive may unpack to: photographs need about 1, masks about 10."""

HEADER = 512
"""Bytes counted for each member, even if empty."""


def download(url: str, file: Path, checksum: str) -> None:
    """Download a URL (http or https) to a file, continuing an interrupted download.

    checksum: "md5:..." or "sha256:..." in hexadecimal. An existing file is checked, not downloaded again.

    Data goes to `<file>.part`, which is renamed once the checksum matches. Raises UserError if the server cannot
    be reached or refuses, the connection keeps breaking, the disk is full or read-only, or the checksum is wrong.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise UserError(f"{url}: is not an http or https address; give one")
    if file.exists():
        if not matches(file, checksum):
            raise UserError(f"{file}: does not match its checksum; remove it and download it again")
        return
    part = file.with_name(file.name + ".part")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab") as out, Progress(*columns, console=Console(stderr=True)) as progress:
            progress.add_task(file.name, total=None)
            # Reconnect as long as each connection makes progress.
            while True:
                before = out.tell()
                if fetch(url, out, progress):
                    break
                if out.tell() <= before:
                    raise UserError(f"{url}: the connection keeps breaking; start again to continue at {before} bytes")
    except OSError as error:
        raise UserError(f"{part}: cannot be written ({error.strerror}); make room or choose another folder") from error
    finally:
        if part.exists() and not part.stat().st_size:
            part.unlink()
    if not matches(part, checksum):
        part.unlink()
        raise UserError(f"{url}: the download does not match its checksum; download it again")
    part.replace(file)


def fetch(url: str, out: BinaryIO, progress: Progress) -> bool:
    """Append the rest of the URL to `out`; False if the connection broke before the end."""
    start = out.tell()
    try:
        response = urlopen(Request(url, headers={"Range": f"bytes={start}-"} if start else {}), timeout=TIMEOUT)
    except HTTPError as error:
        if error.code == 416:  # We already have everything.
            return True
        raise UserError(f"{url}: the server answers {error.code} {error.reason}; check the address") from error
    except (URLError, HTTPException, OSError) as error:
        if start:
            return False
        reason = getattr(error, "reason", error)
        raise UserError(f"{url}: cannot be reached ({reason}); check the network") from error
    with response:
        if response.status != 206 and start:  # The server ignores ranges and sends the whole file.
            out.seek(0)
            out.truncate()
            start = 0
        total = start + response.length if response.length is not None else None
        progress.update(progress.task_ids[0], total=total, completed=start)
        while True:
            try:
                chunk = response.read(CHUNK)
            except (HTTPException, OSError):
                return False
            if not chunk:
                return total is None or out.tell() >= total
            out.write(chunk)
            progress.update(progress.task_ids[0], completed=out.tell())


def matches(file: Path, checksum: str) -> bool:
    kind, _, digest = checksum.partition(":")
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, kind).hexdigest() == digest.lower()


def extract(archive: Path, folder: Path) -> None:
    """Unpack a tar or zip archive into a folder; each top-level entry appears whole or not at all.

    Raises UserError, and leaves the folder unchanged, if the archive is broken, contains an absolute path, `..`,
    a link or a device, unpacks to far more than its size, would overwrite something, or does not fit on the disk.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Inside the folder, so that renaming never crosses file systems.
        with tempfile.TemporaryDirectory(prefix=".extract-", dir=folder) as temporary:
            unpack(archive, Path(temporary))
            entries = list(Path(temporary).iterdir())
            for entry in entries:
                if (folder / entry.name).exists():
                    raise UserError(f"{folder / entry.name}: already exists; remove it before unpacking {archive}")
            for entry in entries:
                entry.replace(folder / entry.name)
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"{archive}: cannot be unpacked ({error}); remove it and download it again") from error
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); make room or choose another") from error


def unpack(archive: Path, folder: Path) -> None:
    """Unpack into an empty folder. `refuse` checks the members: the libraries' own filters are not relied on."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            refuse(archive, ((entry.filename, entry.file_size, True) for entry in opened.infolist()))
            opened.extractall(folder)  # writes a link as a file that holds its target: nothing to follow
    else:
        with tarfile.open(archive) as opened:
            refuse(archive, ((entry.name, entry.size, entry.isfile() or entry.isdir()) for entry in opened))
            opened.extractall(folder, filter="data")


def refuse(archive: Path, members: Iterable[tuple[str, int, bool]]) -> None:
    """Raises UserError at the first member that has no place in an archive of images.

    members: (name, bytes, whether it is a file or folder).
    """
    most, unpacked = archive.stat().st_size * EXPANSION + (1 << 20), 0
    for name, size, plain in members:
        for path in (PurePosixPath(name), PureWindowsPath(name)):
            if path.anchor or ".." in path.parts:
                raise UserError(f"{archive}: would write {name} outside its folder; do not trust this archive")
        if not plain:
            raise UserError(f"{archive}: contains {name}, a link or device; do not trust this archive")
        unpacked += size + HEADER
        if unpacked > most:
            raise UserError(
                f"{archive}: unpacks to more than {EXPANSION} times its size, as images never do; do not trust it"
            )
