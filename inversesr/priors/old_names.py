"""Names that earlier versions gave to networks of a prior; priors that hold them still work."""

from collections.abc import Mapping
from typing import Any

# earlier name -> present name
ROLES = {"warmstart": "unet"}
CLASSES = {"WarmStartNet": "SuperResolutionUNet"}


def with_present_names(data: object) -> object:
    """Return a decoded `prior.json` whose networks have their present names.

    Args:
        data: The JSON value; what is not as expected is left to the reader of the card.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("networks"), Mapping):
        return data
    networks = {ROLES.get(role, role): _present(part) for role, part in data["networks"].items()}
    return {**data, "networks": networks}


def _present(network: object) -> Any:  # noqa: ANN401  (any JSON value)
    if not isinstance(network, Mapping) or network.get("network") not in CLASSES:
        return network
    return {**network, "network": CLASSES[network["network"]]}
