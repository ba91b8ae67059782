import pytest

from twinsight.data.coco_stuff import entries_10k
from twinsight.data.folder import read_classes
from twinsight.data.voc import read_layout
from twinsight.errors import UserError
from twinsight.plain import read_lines


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_with_and_without_a_byte_order_mark(tmp_path, mark, end):
    (tmp_path / "a.txt").write_bytes(mark + end.join([b"stra\xc3\x9fe", b"", b"  b c ", b""]))
    assert read_lines(tmp_path / "a.txt") == ["straße", "b c"]


@pytest.mark.parametrize(
    "content", ["straße".encode("latin-1"), "a\nb".encode("utf-16"), "a\nb".encode("utf-16-le"), b"\x89PNG\r\n\0"]
)
def test_what_is_no_utf8_is_one_sentence(tmp_path, content):
    for name in ("classes.txt", "ImageSets/Segmentation/train.txt", "imageLists/train.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    for read in (
        lambda: read_classes(tmp_path / "classes.txt"),
        lambda: read_layout(tmp_path, "train"),
        lambda: entries_10k(tmp_path, "train"),
    ):
        with pytest.raises(UserError, match=r"\.txt: is not UTF-8 text; open it in an editor and save it as UTF-8$"):
            read()


def test_a_folder_is_no_text(tmp_path):
    with pytest.raises(UserError, match="is not a regular file"):
        read_lines(tmp_path)
