"""What is chosen by name: data sets, backbones, methods and heads, each with its own options.

A dataclass here names in `target` what it builds; its fields are that thing's arguments, flags (`--head.channels`)
and keys of a recipe. A new one is its own file, its dataclass here, and its name in the table. No torch here: `--help`
must come at once.
"""
