"""Data sets as annotation tools export them: one file a format, each a subclass of `export.Export`."""
