"""What bad files hold."""

import io
import os
from collections.abc import Callable
from pathlib import Path

import torch
from hostile_driver import Case, Content
from PIL import Image


def image(mode: str = "L", size: tuple[int, int] = (32, 32), value: object = 0, kind: str = "PNG") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, size, value).save(stream, kind)
    return stream.getvalue()


def saved(thing: object) -> bytes:
    stream = io.BytesIO()
    torch.save(thing, stream)
    return stream.getvalue()


def folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


def pipe(path: Path) -> None:
    path.unlink(missing_ok=True)
    os.mkfifo(path)


def cut(length: int) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[:length])


def of(group: str, argv: str, file: str, contents: dict[str, Content], names: str) -> list[Case]:
    return [Case(group, argv, names, {file: content}, what) for what, content in contents.items()]
