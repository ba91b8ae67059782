"""The terms of a segmentation loss, as --loss names them."""

import math
from difflib import get_close_matches

from twinsight.errors import UserError

TERMS = ("cross-entropy", "dice", "focal", "jaccard", "lovasz")


def parse(spec: str) -> dict[str, float]:
    """Names and weights of a sum of losses: "cross-entropy+0.5*dice" -> {"cross-entropy": 1.0, "dice": 0.5}.

    Raises UserError for an unknown name, a name given twice, or a weight that is not positive.
    """
    terms: dict[str, float] = {}
    for term in spec.split("+"):
        factor, _, name = term.rpartition("*")
        name = name.strip()
        if name not in TERMS:
            close = get_close_matches(name, TERMS, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"choose from {', '.join(TERMS)}"
            raise UserError(f"--loss {spec!r}: {name!r} is not a loss; {hint}")
        if name in terms:
            raise UserError(f"--loss {spec!r}: {name!r} is given twice; give it once, with the sum of its weights")
        try:
            weight = float(factor) if factor.strip() else 1.0
        except ValueError:
            weight = math.nan
        if not 0 < weight < math.inf:
            raise UserError(
                f"--loss {spec!r}: {factor.strip()!r} is not a positive number; write 0.5*{name}, for example"
            )
        terms[name] = weight
    return terms
