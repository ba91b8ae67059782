"""How many broken samples are allowed, and what is said of more; without PyTorch, which `data check` does not need."""

from twinsight.errors import UserError


def limit(count: int, allowed: float) -> int:
    """How many of `count` samples may be broken."""
    return int(allowed if allowed >= 1 else allowed * count)


def too_many(error: UserError, met: int, limit: int) -> UserError:
    if not limit:
        return UserError(f"{error}, or give --data.tolerate a number or share of broken images to go on without")
    return UserError(f"{error}; {met} images are broken, and --data.tolerate allows {limit}")
