"""The width of projectors, which suits the number of images."""

from twinsight.options.auto import Scale, Setting, power_of_two


def hidden_width(scale: Scale, paper: int) -> Setting:
    """A power of two up to the paper's width."""
    why = f"a unit for 10 of {scale.images} images, from 512 to the paper's {paper}"
    return Setting(power_of_two(scale.images / 10, 512, paper), why)
