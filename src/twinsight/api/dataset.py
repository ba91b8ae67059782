"""A data set as Python sees it: a sequence of images with, perhaps, their masks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike
from typing import Any, Self, Unpack, overload

import numpy as np

from twinsight.api.calls import public, takes
from twinsight.api.keywords import DataKeywords
from twinsight.data import samples
from twinsight.data.samples import Sample
from twinsight.errors import UserError
from twinsight.options.commands import DataShow
from twinsight.options.data import DATA
from twinsight.options.files import DataOptions
from twinsight.options.parse import from_keywords
from twinsight.probes.draw import Plot
from twinsight.probes.grids import contact_sheet

SHOWN = 12
"""Images of a contact sheet, unless another number is asked for."""


class Dataset(Sequence[Sample]):
    """Images with, perhaps, their masks, read as they are asked for. In a notebook it shows some of them.

    A sample is a tuple (image, mask, id): (H, W, 3) uint8 RGB; (H, W) uint8 class indices with 255 for void, or None;
    the image's name.

    Attributes:
        options: what it is and where; `twinsight.pretrain` and `twinsight.segment` take the data set by them.
        name: what kind it is: "folder", "shapes", ...
        split: which of its splits this is.
        classes: the names of the classes; empty without masks.
        palette: (C, 3) uint8, their colors in RGB.
    """

    def __init__(self, options: DataOptions, split: str):
        self.options = options
        self.name: str = getattr(options, "name", "")
        self.split = split
        self.data: samples.Dataset = replace(options, val=split).open("val")
        self.classes = self.data.classes
        self.palette: np.ndarray = self.data.palette

    @classmethod
    @public()
    @takes(DataKeywords, *DATA.values())
    def open(
        cls, source: "str | PathLike[str] | Mapping[str, Any]", split: str = "train", **options: Unpack[DataKeywords]
    ) -> Self:
        """Open a data set without reading its images.

        Args:
            source: a folder of your own images, with or without masks (see `twinsight data list`), or the name of a
                data set: "shapes" (made up, nothing to download), "voc", "coco-stuff". Or a mapping, as
                `twinsight.pretrain` takes it: {"name": "shapes", "count": 20}.
            split: "train", "val", or "all" for both; "test" where the folder states one.
            **options: as for the command line's `--data.NAME`; which of them there are depends on the data set.

        Raises:
            UserError: for a folder that is missing or empty, masks that do not pair up with images, an unknown option.

        Example:
            >>> data = twinsight.Dataset.open("shapes", split="val", val_count=4)
            >>> len(data), data[0].image.shape, data.classes[1]
            (4, (96, 96, 3), 'striped disk')
        """
        if not isinstance(source, str | PathLike | Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] (callers may not check types)
            raise UserError(
                f"source: {type(source).__name__} is not a data set; give a folder, a data set's name or its file"
            )
        data = source if isinstance(source, Mapping) else {"name": source}
        shown: DataShow = from_keywords(DataShow, "data show", {"data": {**data, **options}})
        return cls(shown.data, split)

    def __len__(self) -> int:
        return len(self.data)

    @overload
    def __getitem__(self, index: int) -> Sample: ...
    @overload
    def __getitem__(self, index: slice) -> list[Sample]: ...
    @public()
    def __getitem__(self, index: int | slice) -> Sample | list[Sample]:
        places = range(len(self))[index]  # a negative one counts from the end; one too large is an IndexError
        return self.data[places] if isinstance(places, int) else [self.data[place] for place in places]

    def __iter__(self) -> Iterator[Sample]:
        return (self[place] for place in range(len(self)))

    @property
    def names(self) -> list[str]:
        """The name of each image, without extension."""
        ids = [(entry.id, entry.image.suffix) for entry in self.data.entries]
        return [name.removesuffix(suffix) if suffix else name for name, suffix in ids]

    def __repr__(self) -> str:
        name = self.data.title or self.name
        return f"<twinsight.Dataset {name}, {self.split}: {len(self)} images, {len(self.classes)} classes>"

    @public()
    def show(self, count: int = SHOWN, seed: int = 0) -> Plot:
        """A contact sheet of images with their masks: a figure that a notebook shows and `save(Path(...))` writes.

        Args:
            count: how many images, chosen at random.
            seed: of the choice.
        """
        chosen = np.random.default_rng(seed).permutation(len(self))[:count]
        return contact_sheet([self.data[int(place)] for place in sorted(chosen)], self.classes, self.palette)

    def _repr_html_(self) -> str:
        return self.show().html()
