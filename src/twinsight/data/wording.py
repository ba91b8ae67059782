"""Numbers in the sentences that users read."""


def number(count: int, noun: str) -> str:
    """How many: "1 image", "2 images", "3 classes", "2,000 copies"; for regular nouns."""
    if count == 1:
        return f"1 {noun}"
    stem, end = (noun[:-1], "ies") if noun.endswith("y") else (noun, "es" if noun.endswith("s") else "s")
    return f"{count:,} {stem}{end}"
