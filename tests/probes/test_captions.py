from importlib import import_module

import pytest

from twinsight.options.probes import PROBES
from twinsight.probes.captions import CAPTIONS
from twinsight.probes.side_by_side import stem
from twinsight.quantities import ALARM, PERCENT, Quantity, place, quantity, title


@pytest.mark.parametrize("name", PROBES)
def test_every_probe_has_its_caption(name):
    module, _, attribute = PROBES[name].target.partition(":")
    probe = getattr(import_module(module), attribute)
    assert probe.caption is CAPTIONS[name]


@pytest.mark.parametrize("name", CAPTIONS)
def test_captions_are_sentences(name):
    caption = CAPTIONS[name]
    for text in (caption.read, caption.caution):
        assert text.endswith(".")
        assert "\n" not in text
        assert "  " not in text
    labels = [what.label for what in caption.names.values()]
    assert len(set(labels)) == len(labels)
    assert all(label[0].islower() or label.startswith(("IoU", "Jaccard", "F1")) for label in labels)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("block12/head3/entropy", "block 12, head 3"),
        ("class/car/iou", "car"),
        ("random/jaccard", "random places"),
        ("k20/accuracy", "k = 20"),
        ("layer3.1/area", "layer3.1"),
        ("embedding/spread", "embedding"),
        ("mean_iou", ""),
    ],
)
def test_places_in_words(key, expected):
    assert place(key) == expected


def test_what_has_no_name_is_called_by_its_key():
    assert quantity("a/some_thing", {}) == Quantity("some thing")
    assert title("block2/iou", {"iou": Quantity("IoU", PERCENT)}) == "block 2: IoU, %"


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (PERCENT, 0.03749, "3.7"),
        (PERCENT, 1.0, "100.0"),
        (ALARM, 1.0, "rings"),
        (ALARM, 0.0, "silent"),
        ("", 0.123456, "0.123"),
        ("", 2048.0, "2048"),
        ("px", 12.345, "12.3"),
        ("", float("nan"), "-"),
    ],
)
def test_values_as_people_read_them(unit, value, text):
    assert Quantity("x", unit).text(value) == text


def test_names_of_files():
    assert stem("neighbors", "neighbors", ["neighbors"]) == "neighbors"
    assert stem("attention", "block12", ["block12"]) == "attention"
    assert stem("attention", "block12", ["block4", "block12"]) == "attention-block12"
    assert [stem("predictions", f, ["predictions", "compared"]) for f in ("predictions", "compared")] == [
        "predictions",
        "predictions-compared",
    ]
