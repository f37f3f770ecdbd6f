"""Reads the size of a trained network from its tensors, so that a checkpoint explains itself."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from inversesr.errors import InputError
from inversesr.priors.tensors import load_tensors
from inversesr.training.checkpoint import CHECKPOINT_NAME, strip

Tensors = Mapping[str, Tensor]


def averaged_weights(run_dir: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a stage.

    Args:
        run_dir: Folder of the stage.

    Raises:
        InputError: it has not been trained there.
    """
    path = run_dir / CHECKPOINT_NAME
    if not path.is_file():
        message = (
            f"{path} is missing; expected a trained network: "
            f"run `inversesr prior train {run_dir.name} -o {run_dir.parent}` first"
        )
        raise InputError(message)
    return strip(load_tensors(path), "averaged.")


def arguments_of(network: str, tensors: Tensors) -> dict[str, Any]:
    """Return the arguments with which a class must be built to hold some tensors.

    Args:
        network: Name of the class.
        tensors: Weights by name.
    """
    return READERS[network](tensors)


def _unet(tensors: Tensors) -> dict[str, Any]:
    n_downs = _count(tensors, "downs.")
    widths = [len(tensors["stem.weight"])]
    widths += [len(tensors[f"downs.{level}.weight"]) for level in range(n_downs)]
    n_blocks = [_count(tensors, f"down_blocks.{level}.") for level in range(n_downs + 1)]
    n_embedding = len(tensors["embed.0.weight"])
    return {"widths": widths, "n_blocks": n_blocks, "n_embedding": n_embedding}


def _error(tensors: Tensors) -> dict[str, Any]:
    return {
        "widths": [len(tensors["stem.weight"]), len(tensors["down.weight"])],
        "n_blocks": [_count(tensors, f"{level}.") for level in ("before", "middle")],
        "n_embedding": len(tensors["embed.0.weight"]),
    }


def _denoiser(tensors: Tensors) -> dict[str, Any]:
    channels, n_inputs = len(tensors["head.weight"]), tensors["stem.weight"].shape[1]
    arguments = {"channels": channels, **_unet(tensors)}
    if n_inputs > channels:
        arguments["n_conditions"] = n_inputs - channels
    return arguments


def _autoencoder(tensors: Tensors) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "latent_channels": tensors["decoder.stem.weight"].shape[1],
        "widths": [len(tensors["encoder.stem.weight"]), len(tensors["decoder.stem.weight"])],
    }
    for part in ("encoder", "decoder"):
        counts = [_count(tensors, f"{part}.{level}.") for level in ("fine", "coarse")]
        arguments[f"{part}_blocks"] = counts
    return arguments


READERS: dict[str, Callable[[Tensors], dict[str, Any]]] = {
    "SuperResolutionUNet": _unet,
    "ConditionalDenoiser": _unet,
    "ErrorNet": _error,
    "LocalAutoencoder": _autoencoder,
    "BlockAutoencoder": _autoencoder,
    "LocalDenoiser": _denoiser,
    "ImageDenoiser": _unet,
}


def _count(tensors: Tensors, prefix: str) -> int:
    """Count the numbered parts whose tensors have names that begin with a prefix."""
    rest = (name.removeprefix(prefix) for name in tensors if name.startswith(prefix))
    return len({name.split(".")[0] for name in rest})
