"""Files that are damaged, of another kind, or made to take long: one sentence, at once."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twinsight.errors import UserError
from twinsight.plain import read_json, read_text, read_yaml

REFUSED = {
    "a: &x 1": "line 1: anchors and aliases",
    "a: 1\nb: *x": "line 2: anchors and aliases",
    "a: &a [1, 1]\nb: &b [*a, *a]\nc: [*b, *b]": "line 1: anchors and aliases",
    "a: !x 1": "line 1: tags such as !x are not supported",
    "a: !!int 1": "line 1: tags such as tag:yaml.org,2002:int",
    "? !!null x\n: 1": "tags such as",
    "a: 1\nb: {c: 1, c: 2}": "line 2: c occurs twice",
    "1: a\n1: b": "line 2: 1 occurs twice",
    "a: 12:30": "12:30 is not a whole number of up to 100 decimal digits",
    "a: 010": "010 is not a whole number of up to 100 decimal digits",
    "a: 0x10": "0x10 is not a whole number of up to 100 decimal digits",
    "a: " + "9" * 5000: "is not a whole number of up to 100 decimal digits",
    "[" * 30: "more than 20 levels",
    "{a: " * 30: "more than 20 levels",
    "- " * 30: "more than 20 levels",
    "a: 1\n---\nb: 2": "another document",
    "a: \x07": "not allowed",
    "? [a]\n: 1": "unhashable",
}


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: repr(text[:20]))
def test_yaml_that_is_refused(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(UserError, match=r"^--config a\.yaml: is not valid YAML; correct ") as error:
        read_yaml(tmp_path / "a.yaml", "--config a.yaml")
    assert REFUSED[text] in str(error.value)
    assert "\n" not in str(error.value)


def test_dates_and_merge_keys_are_text(tmp_path):
    (tmp_path / "a.yaml").write_text("a: 2024-13-45\nb: 2024-01-01\n<<: {c: 1}\n")
    assert read_yaml(tmp_path / "a.yaml") == {"a": "2024-13-45", "b": "2024-01-01", "<<": {"c": 1}}


@settings(max_examples=60, deadline=None)
@given(content=st.binary(max_size=300) | st.text("a:-[]{}&*!?|>'\"\n \t#%@`,0123456789e.", max_size=60).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    file = tmp_path_factory.mktemp("any") / "a"
    file.write_bytes(content)
    for read in (read_text, read_yaml, read_json):
        sentence = ""
        try:
            read(file)
        except UserError as error:
            sentence = str(error)
        assert not sentence or sentence.startswith(f"{file}: ")
        assert "\n" not in sentence


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path):
    (tmp_path / "a").write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert read_json(tmp_path / "a") == read_yaml(tmp_path / "a") == {"a": 1}


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", ".", "none", "a" * 300):
        with pytest.raises(UserError, match=r"is not a regular file|no such file|file name too long"):
            read_text(tmp_path / name)
    (tmp_path / "large").write_bytes(b"a" * 70_000)
    with pytest.raises(UserError, match=r"large: is larger than 65,536 bytes"):
        read_yaml(tmp_path / "large")
    assert len(read_text(tmp_path / "large")) == 70_000


@pytest.mark.parametrize("text", ["[" * 100_000, "[1]", "{", "{}", '{"b": 1}', "null", "1" * 5000])
def test_json_that_is_refused(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(UserError, match=r"a\.json: (is not valid JSON|does not hold a JSON object|lacks a)"):
        read_json(tmp_path / "a.json", ["a"])
