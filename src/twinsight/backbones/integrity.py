"""Weights and checkpoints that contain their own checksum, so that damage is always noticed."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from twinsight.files import whole

MARK = b"sha256 "
SEAL = 2 + len(MARK) + 64
"""Bytes at the end of a sealed file that hold the checksum and are not part of it."""


def save_tensors(tensors: Mapping[str, Tensor], file: Path) -> None:
    """Write `file` (.safetensors) atomically, with a checksum of the tensors in its metadata."""
    content = {name: value.cpu().contiguous() for name, value in tensors.items()}
    with whole(file) as stream:  # safetensors' own save_file makes files that only the owner can read
        stream.write(save(content, {"sha256": checksum(content)}))


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 of the bytes of all tensors, in the order of their names."""
    found = hashlib.sha256()
    for _, value in sorted(tensors.items()):
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def intact(file: Path) -> bool:
    """Whether a safetensors file exists, can be read, and matches its checksum, if it has one."""
    try:
        with safe_open(file, "pt") as stored:
            written = (stored.metadata() or {}).get("sha256")
            return written in (None, checksum({name: stored.get_tensor(name) for name in stored.keys()}))  # noqa: SIM118
    except (OSError, SafetensorError):
        return False


def seal(stream: BinaryIO) -> None:
    """Add a checksum to the file that torch.save has just written.

    torch.save writes a zip archive, which ends with a comment (empty here) after two bytes for its length. The comment
    becomes the SHA-256 of all bytes before those two, so it travels with every copy of the file. (The archive's own
    CRC-32s do not cover all of it, and torch.load ignores them.)
    """
    end = stream.seek(-2, os.SEEK_END)
    comment = MARK + digest(stream, end)
    stream.seek(end)
    stream.write(len(comment).to_bytes(2, "little") + comment)
    stream.flush()


def damaged(file: Path) -> bool:
    """Whether a checkpoint differs from what was written."""
    if not sealed(file):
        return True
    with file.open("rb") as stream:
        end = stream.seek(-SEAL, os.SEEK_END)
        size, comment = int.from_bytes(stream.read(2), "little"), stream.read()
        return size != len(comment) or comment != MARK + digest(stream, end)


def sealed(file: Path) -> bool:
    """Whether a file ends with a checksum from `seal`."""
    with file.open("rb") as stream:
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - SEAL + 2))
        return stream.read(len(MARK)) == MARK


def digest(stream: BinaryIO, end: int) -> bytes:
    """SHA-256 of the stream's first `end` bytes, in hexadecimal."""
    found = hashlib.sha256()
    stream.seek(0)
    while end > 0 and (part := stream.read(min(end, 2**20))):
        found.update(part)
        end -= len(part)
    return found.hexdigest().encode()
