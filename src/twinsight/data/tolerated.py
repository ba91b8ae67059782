"""How many broken samples are allowed, and what is said of more; without PyTorch, which `data check` does not need."""

from twinsight.errors import UserError


def limit(count: int, allowed: float) -> int:
    """How many of `count` samples may be broken."""
    return int(allowed if allowed >= 1 else allowed * count)


def too_many(error: UserError, met: int, limit: int, looked_at: int | None = None) -> UserError:
    """looked_at: how many were read, broken or not: where all are broken, leaving them out is no way on."""
    if not limit:
        if met == looked_at:
            return error
        return UserError(f"{error}, or give --data.tolerate, the number or fraction of broken images to leave out")
    return UserError(f"{error}; {met} images are broken, but --data.tolerate allows only {limit}")
