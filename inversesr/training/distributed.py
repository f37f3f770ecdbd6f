"""Several processes train one network: each draws its own batches, gradients are averaged.

Start them with `torchrun --nproc-per-node N -m inversesr prior train ...`; a single process needs
nothing and every function here then does nothing.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import distributed

# set by torchrun
SIZE_VARIABLE = "WORLD_SIZE"


@contextmanager
def joined() -> Iterator[None]:
    """Join the other processes, if torchrun started several, and leave them at the end."""
    if int(os.environ.get(SIZE_VARIABLE, "1")) == 1:
        yield
        return
    distributed.init_process_group("gloo")
    try:
        yield
    finally:
        distributed.destroy_process_group()


def world_size() -> int:
    """Return the number of processes."""
    return distributed.get_world_size() if _is_joined() else 1


def rank() -> int:
    """Return the number of this process; process 0 is the only one that writes."""
    return distributed.get_rank() if _is_joined() else 0


def barrier() -> None:
    """Wait until every process is here."""
    if world_size() > 1:
        distributed.barrier()


def average(tensors: Iterable[torch.Tensor]) -> None:
    """Replace tensors of one type by their mean over all processes, in one exchange."""
    if world_size() == 1:
        return
    mine = list(tensors)
    joint = torch.cat([tensor.flatten() for tensor in mine])
    distributed.all_reduce(joint)
    parts = torch.split(joint / world_size(), [tensor.numel() for tensor in mine])
    for tensor, part in zip(mine, parts, strict=True):
        tensor.copy_(part.reshape(tensor.shape))


def broadcast(*numbers: float) -> list[float]:
    """Return the numbers of process 0 in all processes."""
    if world_size() == 1:
        return list(numbers)
    shared = torch.tensor(numbers, dtype=torch.float64)
    distributed.broadcast(shared, 0)
    return [float(number) for number in shared]


def gather(tensor: torch.Tensor) -> list[torch.Tensor]:
    """Return the tensors of all processes, of equal shape, in the order of their numbers."""
    if world_size() == 1:
        return [tensor]
    gathered = [torch.empty_like(tensor) for _ in range(world_size())]
    distributed.all_gather(gathered, tensor)
    return gathered


def _is_joined() -> bool:
    return distributed.is_available() and distributed.is_initialized()
