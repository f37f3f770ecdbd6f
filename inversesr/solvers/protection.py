"""How much of an image a mask keeps from the prior."""

from torch import Tensor

# A voxel is kept from the prior where its mask, interpolated between slices, is above this.
HALF = 0.5


def protected_facts(mask: Tensor) -> dict[str, float]:
    """Return what share of the image a mask keeps the prior out of."""
    return {"protected_share": float((mask > HALF).float().mean())}
