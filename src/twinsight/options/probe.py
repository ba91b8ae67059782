"""What the options of all probes share."""

from typing import ClassVar

from twinsight.options.build import Buildable


class ProbeOptions(Buildable):
    """Options of a probe, and what else is to be known about it.

    given: arguments of the probe that are not options but follow from data and model. images: how many it looks at by
    default. size: shrink images so that the shorter side has at most this many pixels; None for no limit. once:
    whether training changes nothing about it. wants: "labels", "masks" or both, of which it needs at least one.
    example: what follows `twinsight look PROBE` in the help.
    """

    not_arguments: ClassVar = ()
    given: ClassVar[tuple[str, ...]] = ()
    images: ClassVar[int] = 4
    size: ClassVar[int | None] = 480
    once: ClassVar[bool] = False
    wants: ClassVar[tuple[str, ...]] = ()
    example: ClassVar[str] = "photos --weights runs/photos"
