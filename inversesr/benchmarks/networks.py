"""What a prior's networks cost on this machine: seconds and peak memory, stock against ours.

Every measurement runs in a process of its own, on random weights of the exact architecture, so
that the peak is that of one operation and none inherits the memory of another.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from inversesr.priors.brain_ldm import BRAIN_LDM
from inversesr.priors.card import NetworkCard, PriorCard, parse_card
from inversesr.priors.latent_diffusion import LatentDiffusionPrior
from inversesr.priors.loading import assemble_prior
from inversesr.priors.networks.build import build_network, fast_dtype
from inversesr.resources import available_memory_bytes, peak_memory_bytes
from inversesr.workflows.worker import new_process

GIB = 1 << 30
OPERATIONS = ("decode", "encode", "decode with gradient", "denoiser step")
VARIANTS = ("stock", "ours")
# Stock autograd through the exact decoder was counted at 34.6 GiB for 5.7 M voxels.
_STOCK_GRADIENT_BYTES_A_VOXEL = 34.6 * GIB / (160 * 224 * 160)


@dataclass(frozen=True)
class NetworkCost:
    """One row of the comparison.

    Attributes:
        operation: A name in OPERATIONS.
        variant: "stock" (MONAI in float32) or "ours".
        dtype: Type of the weights.
        seconds: Wall-clock time of one call, or None when it was not run.
        peak_gib: Largest resident memory of the process, weights and libraries included.
        note: Why it was not run, or nothing.
    """

    operation: str
    variant: str
    dtype: str
    seconds: float | None
    peak_gib: float | None
    note: str = ""


def measure_networks(
    operations: Sequence[str] = OPERATIONS,
    variants: Sequence[str] = VARIANTS,
    card: Mapping[str, Any] | None = None,
    n_threads: int | None = None,
    progress: Callable[[NetworkCost], None] = lambda _row: None,
) -> list[NetworkCost]:
    """Measure operations one after the other.

    Args:
        operations: Names in OPERATIONS.
        variants: Names in VARIANTS.
        card: Content of a `prior.json`; None takes the UK Biobank brain LDM.
        n_threads: Threads of each process; None takes torch's default.
        progress: Called with each row as it is done.

    Returns:
        One row for each operation and variant.
    """
    content = dict(card or BRAIN_LDM)
    rows = []
    for operation in operations:
        for variant in variants:
            row = _refuse(parse_card(content), operation, variant)
            if row is None:
                # one process a task, so that its memory is its own
                with new_process() as pool:
                    task = pool.submit(_measure, content, operation, variant, n_threads)
                    row = task.result()
            rows.append(row)
            progress(row)
    return rows


def _refuse(card: PriorCard, operation: str, variant: str) -> NetworkCost | None:
    """Return a row without figures for what would not fit into memory."""
    if (operation, variant) != ("decode with gradient", "stock"):
        return None
    n_voxels = torch.Size(card.grid.shape or (card.grid.multiple,) * 3).numel()
    needed, free = _STOCK_GRADIENT_BYTES_A_VOXEL * n_voxels, available_memory_bytes()
    if needed < free:
        return None
    note = f"needs about {needed / GIB:.1f} GiB; {free / GIB:.1f} GiB are free"
    return NetworkCost(operation, variant, "float32", None, None, note)


def _measure(
    content: Mapping[str, Any], operation: str, variant: str, n_threads: int | None
) -> NetworkCost:
    """Run one operation in this process and time it."""
    if n_threads is not None:
        torch.set_num_threads(n_threads)
    dtype = torch.float32 if variant == "stock" else fast_dtype(torch.device("cpu"))
    role = "denoiser" if operation == "denoiser step" else "autoencoder"
    run = _prepare(_without_other_network(parse_card(content), role), operation, variant, dtype)
    start = time.perf_counter()
    run()
    seconds = time.perf_counter() - start
    kind = str(dtype).removeprefix("torch.")
    return NetworkCost(operation, variant, kind, seconds, peak_memory_bytes() / GIB)


def _prepare(
    card: PriorCard, operation: str, variant: str, dtype: torch.dtype
) -> Callable[[], object]:
    """Build networks and inputs, and return the call that is to be timed."""
    generator = torch.Generator().manual_seed(0)
    tensors = {r: random_tensors(n, generator, dtype) for r, n in card.networks.items()}
    prior = assemble_prior(card, tensors, dtype)
    tensors.clear()
    z = torch.randn(prior.latent_shape, generator=generator)
    if operation == "encode":
        x = torch.rand(prior.grid.shape, generator=generator)
        return _stock_encode(prior, x) if variant == "stock" else lambda: prior.encode(x)
    if operation == "denoiser step":
        return lambda: prior.denoise(z, 500)
    if operation == "decode":
        return _stock_decode(prior, z) if variant == "stock" else lambda: prior.decode(z)
    z.requires_grad_()
    if variant == "stock":
        stock = _stock_decode(prior, z)
        return lambda: torch.autograd.grad(stock().square().mean(), z)
    return lambda: torch.autograd.grad(prior.decode(z).square().mean(), z)


def _default_layout(network: Any) -> Any:  # noqa: ANN401  (MONAI's AutoencoderKL)
    """Lay kernels out as MONAI does."""
    return network.to(memory_format=torch.contiguous_format)


def _stock_decode(prior: LatentDiffusionPrior, z: Tensor) -> Callable[[], Tensor]:
    """Return MONAI's own decoding in the default layout."""
    network = _default_layout(prior.autoencoder)

    def run() -> Tensor:
        with torch.set_grad_enabled(z.requires_grad):
            x: Tensor = network.decode(z[None])
        return x

    return run


def _stock_encode(prior: LatentDiffusionPrior, x: Tensor) -> Callable[[], Tensor]:
    """Return MONAI's own encoding in the default layout."""
    network = _default_layout(prior.autoencoder)

    def run() -> Tensor:
        with torch.no_grad():
            z: Tensor = network.encode(x[None, None])[0]
        return z

    return run


def _without_other_network(card: PriorCard, role: str) -> PriorCard:
    """Shrink the network that is not measured to next to nothing of memory and time."""
    if role == "autoencoder":
        networks = {"autoencoder": card.networks["autoencoder"]}
        return replace(card, networks=networks, schedule=None)
    autoencoder = card.networks["autoencoder"]
    widths = [4] * len(autoencoder.arguments["channels"])
    small = {**autoencoder.arguments, "channels": widths, "norm_num_groups": 1}
    return replace(
        card, networks={**card.networks, "autoencoder": replace(autoencoder, arguments=small)}
    )


def random_tensors(
    network: NetworkCard, generator: torch.Generator, dtype: torch.dtype
) -> dict[str, Tensor]:
    """Fill a network with numbers that keep its activations finite, one tensor at a time."""
    made = {}
    for name, t in build_network(network).state_dict().items():
        around = 1.0 if t.ndim == 1 and name.endswith("weight") else 0.0
        scale = 0.1 if t.ndim == 1 else t[0].numel() ** -0.5
        values = torch.empty(t.shape).normal_(around, scale, generator=generator)
        made[name] = values.to(dtype)
    return made
