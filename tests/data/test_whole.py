import numpy as np
import torch

from twinsight.data.loader import Pairs
from twinsight.data.samples import Dataset, Entry, Sample
from twinsight.data.whole import WAITING, whole_images

SIZES = [(8, 12), (8, 12), (12, 8), (8, 12), (40, 50), (12, 8), (8, 12), (8, 12), (40, 50)] * 3


class Sizes(Dataset):
    """Images of many sizes, each of one value."""

    def __init__(self):
        super().__init__([Entry(str(i), None) for i in range(len(SIZES))], ("a", "b"))  # pyright: ignore[reportArgumentType]

    def __getitem__(self, index: int) -> Sample:
        return Sample(
            np.full((*SIZES[index], 3), index, np.uint8), np.full(SIZES[index], index % 2, np.uint8), str(index)
        )


def test_each_image_once_in_batches_of_one_size():
    def at_once(pixels: int) -> int:
        return max(1, 300 // pixels)

    found, waiting, begun = [], 0, 0
    for batch in whole_images(Pairs(Sizes()), at_once, 0):
        pixels = batch.images[0, 0].numel()
        assert len(batch.images) <= at_once(pixels)
        for image, mask, size, name in zip(batch.images, batch.masks, batch.sizes.tolist(), batch.ids):
            assert size == list(image.shape[-2:]) == list(SIZES[int(name)])
            assert (image == int(name)).all()
            assert (mask == int(name) % 2).all()
        found += batch.ids
        begun = max(begun, *map(int, batch.ids))
        waiting = max(waiting, begun + 1 - len(found))
    assert sorted(map(int, found)) == list(range(len(SIZES)))
    assert waiting <= 3 * WAITING
    full = [batch for batch in whole_images(Pairs(Sizes()), at_once, 0) if len(batch.images) == 3]
    assert len(full) >= 4
    assert all(batch.images.is_contiguous(memory_format=torch.channels_last) for batch in full)
