"""Self-supervised methods: a file of options for each, and the list of all."""

from twinsight.options.choices import table
from twinsight.options.methods.barlow_twins import BarlowTwinsOptions
from twinsight.options.methods.dino import DinoOptions

Method = BarlowTwinsOptions | DinoOptions
"""Every method that is here; a new one is added to this list."""

METHODS = table(Method)
