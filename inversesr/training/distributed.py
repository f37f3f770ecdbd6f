"""Several processes train one network: each draws its own batches, gradients are averaged.

Start them with `torchrun --nproc-per-node N -m inversesr prior train ...`; a single process needs
nothing and every function here then does nothing.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

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


class _Loss(nn.Module):
    """A loss as a module, so that torch finds the weights whatever the loss calls of them."""

    def __init__(self, model: nn.Module, loss: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.model, self.loss = model, loss

    def forward(self, batch: Any) -> torch.Tensor:  # noqa: ANN401  (each stage has its own)
        """Return the loss of a batch."""
        return self.loss(self.model, batch)


def with_shared_gradients(
    model: nn.Module, loss: Callable[..., torch.Tensor]
) -> Callable[..., torch.Tensor]:
    """Return a loss whose gradients are the means over all processes.

    Args:
        model: Network; all processes go on from the weights of process 0.
        loss: Loss of the network and a batch.
    """
    if world_size() == 1:
        return loss
    shared = DistributedDataParallel(_Loss(model, loss))
    return lambda _model, batch: shared(batch)


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
