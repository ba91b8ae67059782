"""twinsight: see what self-supervision sees."""

__version__ = "0.1.0"
