"""Where encoders compute."""

from __future__ import annotations

from recbole_mm.errors import InputError


def check_device(name: str | None) -> str:
    """The device of torch with this name; None takes the first GPU, or the CPU if there is none.

    Raises:
        InputError: torch has no such device here.
    """
    import torch

    if name is None:
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(1, device=torch.device(name))
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)[:120]
        raise InputError(
            f"--device={name}: cannot be used here ({reason}); give cpu, cuda or cuda:1, or leave it out"
        ) from error
    return name
