"""How many broken samples are allowed, and what is said of more; without PyTorch, which `data check` does not need."""

from twinsight.errors import UserError


def limit(count: int, allowed: float) -> int:
    """How many of `count` samples may be broken."""
    return int(allowed if allowed >= 1 else allowed * count)


def too_many(error: UserError, met: int, limit: int) -> UserError:
    if not limit:
        return UserError(f"{error}, or give --data.tolerate, the number or fraction of broken images to leave out")
    return UserError(f"{error}; {met} images are broken, but --data.tolerate allows only {limit}")
