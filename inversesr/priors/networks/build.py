"""Networks of a prior: built by the name of their class, and held in the type that is fast.

MONAI's classes are never subclassed; what has to differ is set on the instance.
"""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from inversesr.errors import InputError
from inversesr.priors.card import NetworkCard, PriorCard, read_card
from inversesr.priors.store import CARD_NAME, check_file, find_prior, remedy
from inversesr.priors.tensors import load_tensors

# name in prior.json -> where what makes it of its arguments lives, and is called
MAKERS = {
    "AutoencoderKL": ("monai.networks.nets", "AutoencoderKL"),
    "DiffusionModelUNet": ("monai.networks.nets", "DiffusionModelUNet"),
    "MaisiAutoencoder": ("inversesr.priors.networks.maisi_autoencoder", "build_maisi_autoencoder"),
    "DiffusionModelUNetMaisi": (
        "monai.apps.generation.maisi.networks.diffusion_model_unet_maisi",
        "DiffusionModelUNetMaisi",
    ),
    "LocalAutoencoder": ("inversesr.priors.networks.local_autoencoder", "LocalAutoencoder"),
    "BlockAutoencoder": ("inversesr.priors.networks.block_autoencoder", "BlockAutoencoder"),
    "LocalDenoiser": ("inversesr.priors.networks.local_denoiser", "LocalDenoiser"),
    "SuperResolutionUNet": ("inversesr.priors.networks.unet", "build_unet"),
    "ConditionalDenoiser": (
        "inversesr.priors.networks.conditional_denoiser",
        "build_conditional_denoiser",
    ),
    "ImageDenoiser": ("inversesr.priors.networks.image_denoiser", "build_image_denoiser"),
    "ErrorNet": ("inversesr.priors.networks.error_net", "build_error_net"),
}
Shapes = dict[str, tuple[int, ...]]
NetT = TypeVar("NetT", bound=nn.Module)


def build_network(card: NetworkCard) -> nn.Module:
    """Build a network without memory for its weights (on the meta device), for inference.

    Raises:
        InputError: the class is unknown, or refuses the arguments.
    """
    if card.network not in MAKERS:
        message = f"network class is {card.network!r}; expected one of {', '.join(MAKERS)}"
        raise InputError(message)
    module, name = MAKERS[card.network]
    make = getattr(importlib.import_module(module), name)
    try:
        with torch.device("meta"):
            network: nn.Module = make(**card.arguments)
    except (TypeError, ValueError) as error:
        message = f"{card.network} refuses the arguments of prior.json: {error}"
        raise InputError(message) from error
    return network.eval().requires_grad_(requires_grad=False)


def tensor_shapes(card: NetworkCard) -> Shapes:
    """Return the shapes of all tensors of a network by name, without allocating them."""
    return {name: tuple(t.shape) for name, t in build_network(card).state_dict().items()}


def load_network(card: NetworkCard, tensors: Mapping[str, Tensor], *, partial: bool) -> nn.Module:
    """Build a network and give it its weights, which are not copied.

    Args:
        card: Class and arguments.
        tensors: Weights by MONAI core name.
        partial: Whether tensors may be missing (a decoder without its encoder).

    Returns:
        The network, for inference, its weights frozen.

    Raises:
        InputError: tensors are missing, superfluous or of another shape.
    """
    network = build_network(card)
    expected = {name: tuple(t.shape) for name, t in network.state_dict().items()}
    found = {name: tuple(t.shape) for name, t in tensors.items()}
    check_tensors(expected, found, card.file, partial=partial)
    network.load_state_dict(dict(tensors), strict=not partial, assign=True)
    return network.requires_grad_(requires_grad=False)


def load_part(
    name_or_folder: str | Path, role: str, kind: type[NetT], device: torch.device
) -> NetT | None:
    """Load one network of a prior by itself, after checking size and hash of its file.

    Args:
        name_or_folder: Name of an installed prior, or its folder.
        role: Name of the network in prior.json.
        kind: Class that it must be of.
        device: Where to compute.

    Returns:
        The network, for inference, its weights float32; None where the prior has none.

    Raises:
        InputError: its file is missing or damaged, or does not hold the network.
    """
    folder = find_prior(name_or_folder)
    card = read_card(folder)
    part = card.networks.get(role)
    if part is None:
        return None
    if not isinstance(build_network(part), kind):
        message = f"{role} of prior {card.name!r} is {part.network}; expected {kind.__name__}"
        raise InputError(message)
    check_listed(folder, card, [part.file])
    tensors = load_tensors(folder / part.file)
    net = load_network(part, {name: t.float() for name, t in tensors.items()}, partial=False)
    net.to(device)
    return cast(NetT, hold_in(net, torch.float32))


def check_listed(folder: Path, card: PriorCard, files: Iterable[str]) -> None:
    """Check that files of a prior are those that its card lists.

    Raises:
        InputError: one is missing, differs, or is not listed.
    """
    for file in files:
        if file not in card.files:
            message = (
                f"{folder / CARD_NAME} lists no size and hash for {file}; expected both: "
                "import the weights again"
            )
            raise InputError(message)
        entry = card.files[file]
        check_file(folder / file, entry.size, entry.sha256, remedy(folder))


def check_tensors(expected: Shapes, found: Shapes, where: str, *, partial: bool) -> None:
    """Check names and shapes of tensors.

    Raises:
        InputError: naming the first tensor that is missing, superfluous or of another shape.
    """
    missing = sorted(set(expected) - set(found))
    superfluous = sorted(set(found) - set(expected))
    advice = "the architecture in prior.json is not the one of these weights"
    if superfluous:
        count = len(superfluous)
        message = f"{where} has {count} unexpected tensors, first {superfluous[0]!r}: {advice}"
        raise InputError(message)
    if missing and not partial:
        message = f"{where} lacks {len(missing)} tensors, first {missing[0]!r}: {advice}"
        raise InputError(message)
    for name, shape in found.items():
        if shape != expected[name]:
            message = f"{where} has {name!r} of shape {shape}; expected {expected[name]}: {advice}"
            raise InputError(message)


def hold_in(network: nn.Module, dtype: torch.dtype, exact: Sequence[nn.Module] = ()) -> nn.Module:
    """Convert a network in place to the type and memory layout in which it will compute.

    Kernels of 3D convolutions are laid out channels-last. On the CPU, weights of normalisation
    layers stay float32, because their statistics take the type of the weights. MONAI's
    `upcast_attention` fails on weights that are not float32: fused attention, which keeps its
    softmax in float32 by itself, replaces it.

    Args:
        network: Freshly loaded network.
        dtype: float32, bfloat16 or float16.
        exact: Modules that stay float32 all the same.

    Returns:
        The same network.
    """
    kept = {id(m) for part in exact for m in part.modules()}
    for module in network.modules():
        norm = isinstance(module, nn.GroupNorm | nn.LayerNorm)
        for parameter in module.parameters(recurse=False):
            if parameter.is_meta:
                continue
            keep = (norm and parameter.device.type == "cpu") or id(module) in kept
            parameter.data = parameter.data.to(torch.float32 if keep else dtype)
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
            if parameter.ndim == 5:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last_3d)
        if dtype != torch.float32 and isinstance(module, nn.AvgPool3d):
            vars(module)["forward"] = partial(_pool_in_float32, module)
        if dtype != torch.float32 and getattr(module, "attention_dtype", None) is not None:
            attention: Any = module
            attention.attention_dtype = None
            attention.use_flash_attention = True
    return network


def _pool_in_float32(pool: nn.AvgPool3d, x: Tensor) -> Tensor:
    """Average over windows; torch has no 3D kernel for half precision on the CPU."""
    size, stride = pool.kernel_size, pool.stride
    return nn.functional.avg_pool3d(x.float(), size, stride, pool.padding).to(x.dtype)


def has_fast_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 matrices in hardware, so that it is worth using."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    if device.type != "cpu":
        return False
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(bool(getattr(torch.cpu, name, lambda: False)()) for name in checks)


def fast_dtype(device: torch.device) -> torch.dtype:
    """Return the type in which networks run fastest on a device: bfloat16, else float32."""
    return torch.bfloat16 if has_fast_bfloat16(device) else torch.float32


def boundary_layers(autoencoder: Any) -> list[nn.Module]:  # noqa: ANN401  (ours or MONAI's)
    """Return the layers at which images and latents enter and leave an autoencoder.

    They are cheap; in bfloat16 they would round intensities to 8 bits.
    """
    if hasattr(autoencoder, "boundary_layers"):
        own: list[nn.Module] = autoencoder.boundary_layers()
        return own
    encoder, decoder = autoencoder.encoder.blocks, autoencoder.decoder.blocks
    ends = [encoder[0], encoder[-1], decoder[0], decoder[-1]]
    return [*ends, autoencoder.quant_conv_mu, autoencoder.post_quant_conv]
