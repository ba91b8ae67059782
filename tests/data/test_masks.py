"""Masks that are written."""

import numpy as np
import pytest
from PIL import Image
from torchvision.io import decode_image as torchvision_decode

from twinsight.data.masks import write_mask

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("classes", [2, 3, 5, 16, 17, 171])
@pytest.mark.parametrize("void", [False, True])
def test_every_reader_gets_back_the_indices_that_were_written(tmp_path, classes, void):
    labels = RNG.integers(0, classes, (37, 53), dtype=np.uint8)
    labels[0] = 255 if void else labels[0]
    palette = RNG.integers(0, 256, (classes, 3), dtype=np.uint8)
    file = tmp_path / ".a.png.tmp"
    write_mask(file, labels, palette)
    assert file.read_bytes()[24:26] == b"\x08\x03"  # IHDR: 8 bits, palette
    with Image.open(file) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), labels)
        np.testing.assert_array_equal(np.array(image.getpalette()).reshape(-1, 3)[:classes], palette)
    np.testing.assert_array_equal(torchvision_decode(file)[0].numpy(), labels)
