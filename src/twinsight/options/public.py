"""Public data sets, in the layout in which they are published."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from twinsight.options.files import FileOptions, SplitOptions


@dataclass(frozen=True)
class VocOptions(FileOptions):
    """PASCAL VOC 2012: 20 classes and background."""

    target: ClassVar = "twinsight.data.voc:Voc"
    name: Literal["voc"] = "voc"
    root: Path = Path("data/voc")
    """Folder that contains VOCdevkit/VOC2012."""
    download: bool = False
    """Download it into root (2 GB) if it is missing."""


@dataclass(frozen=True)
class CocoStuffOptions(FileOptions):
    """COCO-Stuff: 171 classes."""

    target: ClassVar = "twinsight.data.coco_stuff:CocoStuff"
    name: Literal["coco-stuff"] = "coco-stuff"
    root: Path = Path("data/coco-stuff")
    """Folder in the official layout."""
    version: Literal["164k", "10k"] = "164k"
    """Release: 164k (stuffthingmaps) or 10k (.mat files)."""


@dataclass(frozen=True)
class SbdOptions(FileOptions):
    """VOC's trainaug: VOC 2012 with 9118 further masks of the Semantic Boundaries Dataset."""

    target: ClassVar = "twinsight.data.public.sbd:Sbd"
    name: Literal["sbd"] = "sbd"
    root: Path = Path("data/sbd")
    """Folder of SBD (benchmark_RELEASE)."""
    voc: Path | None = None
    """Folder of VOC 2012. Default: in root or beside it."""


@dataclass(frozen=True)
class CityscapesOptions(FileOptions):
    """Cityscapes: street scenes, 19 classes."""

    target: ClassVar = "twinsight.data.public.cityscapes:Cityscapes"
    name: Literal["cityscapes"] = "cityscapes"
    root: Path = Path("data/cityscapes")
    """Folder that contains leftImg8bit and gtFine."""


@dataclass(frozen=True)
class KittiOptions(SplitOptions):
    """KITTI: 200 street scenes, with the 19 classes of Cityscapes."""

    target: ClassVar = "twinsight.data.public.kitti:Kitti"
    name: Literal["kitti"] = "kitti"
    root: Path = Path("data/kitti")
    """Folder that contains training/image_2 and training/semantic."""


@dataclass(frozen=True)
class MapillaryVistasOptions(FileOptions):
    """Mapillary Vistas: street scenes of the whole world, 63 or 116 classes."""

    target: ClassVar = "twinsight.data.public.mapillary:MapillaryVistas"
    name: Literal["mapillary-vistas"] = "mapillary-vistas"
    root: Path = Path("data/mapillary-vistas")
    """Folder that contains training, validation and the config file."""
    version: Literal["1.2", "2.0"] = "1.2"
    """Version of the classes."""


@dataclass(frozen=True)
class Ade20kOptions(FileOptions):
    """ADE20K: indoor and outdoor scenes, 150 classes."""

    target: ClassVar = "twinsight.data.public.ade20k:Ade20k"
    name: Literal["ade20k"] = "ade20k"
    root: Path = Path("data/ade20k")
    """Folder that contains ADEChallengeData2016."""


@dataclass(frozen=True)
class PascalContextOptions(FileOptions):
    """PASCAL-Context: every pixel of VOC 2010, 59 classes."""

    target: ClassVar = "twinsight.data.public.pascal_context:PascalContext"
    name: Literal["pascal-context"] = "pascal-context"
    root: Path = Path("data/pascal-context")
    """Folder that contains VOC2010, with the annotations beside its JPEGImages."""


@dataclass(frozen=True)
class LoveDaOptions(FileOptions):
    """LoveDA: land cover from the air, 7 classes."""

    target: ClassVar = "twinsight.data.public.loveda:LoveDa"
    name: Literal["loveda"] = "loveda"
    root: Path = Path("data/loveda")
    """Folder that contains Train and Val."""
    scene: Literal["urban", "rural"] | None = None
    """Towns or country only. Default: both."""


@dataclass(frozen=True)
class PotsdamOptions(FileOptions):
    """ISPRS Potsdam: a town at 5 cm a pixel, 6 classes."""

    target: ClassVar = "twinsight.data.public.potsdam:Potsdam"
    name: Literal["potsdam"] = "potsdam"
    root: Path = Path("data/potsdam")
    """Folder that contains 2_Ortho_RGB and 5_Labels_all."""


Streets = CityscapesOptions | KittiOptions | MapillaryVistasOptions
Scenes = VocOptions | SbdOptions | CocoStuffOptions | Ade20kOptions | PascalContextOptions
Aerial = LoveDaOptions | PotsdamOptions

Public = Scenes | Streets | Aerial
"""Every public data set that is here; a new one is added to this list."""
