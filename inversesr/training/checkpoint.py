"""Checkpoints: everything that changes while training, written so that it goes on bit for bit."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, cast

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from torch.optim.swa_utils import AveragedModel

from inversesr.priors.old_names import ROLES
from inversesr.training import distributed

CHECKPOINT_NAME = "checkpoint.safetensors"
ADAM_BUFFERS = ("exp_avg", "exp_avg_sq", "step")
ModelT = TypeVar("ModelT", bound=nn.Module)


@dataclass(eq=False)
class State(Generic[ModelT]):
    """Everything that changes while training, and all that a checkpoint holds."""

    model: ModelT
    average: AveragedModel
    optimiser: torch.optim.AdamW
    generator: torch.Generator
    step: int = 0
    progress: float = 0.0

    @property
    def averaged(self) -> ModelT:
        """The network with averaged weights."""
        return cast(ModelT, self.average.module)


def save_checkpoint(state: State[ModelT], path: Path) -> None:
    """Write a checkpoint under a temporary name and rename it."""
    tensors = {f"model.{k}": v for k, v in state.model.state_dict().items()}
    tensors |= {f"averaged.{k}": v for k, v in state.averaged.state_dict().items()}
    tensors |= {f"adam.{name}": value for name, value in adam_buffers(state).items()}
    for number, generator in enumerate(distributed.gather(state.generator.get_state())):
        tensors[generator_name(number)] = generator
    if distributed.rank() != 0:
        return
    metadata = {"state": json.dumps({"step": state.step, "progress": state.progress})}
    temporary = path.with_suffix(".partial")
    save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata)
    temporary.replace(path)


def stage_folder(run_dir: Path, stage: str) -> Path:
    """Return the folder of a stage; the one of its earlier name where only that is there."""
    earlier = [run_dir / old for old, present in ROLES.items() if present == stage]
    folders = [run_dir / stage, *earlier]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def save_start(weights: dict[str, torch.Tensor], path: Path) -> None:
    """Write the checkpoint of a network before its first step, so that training begins there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {f"model.{k}": v for k, v in weights.items()}
    tensors |= {f"averaged.{k}": v.clone() for k, v in weights.items()}
    save_file(tensors, path, {"state": json.dumps({"step": 0, "progress": 0.0})})


def generator_name(number: int) -> str:
    """Return the name under which the random state of a process is kept."""
    return f"generator.{number}" if number else "generator"


def load_checkpoint(state: State[ModelT], path: Path) -> None:
    """Bring a state to where a checkpoint left it, bit for bit."""
    with safe_open(path, framework="pt") as file:
        numbers = json.loads(file.metadata()["state"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  not a dict
    # a start may be smaller: what it lacks keeps its first values, residual blocks add nothing yet
    strict = numbers["step"] > 0
    state.model.load_state_dict(strip(tensors, "model."), strict=strict)
    state.averaged.load_state_dict(strip(tensors, "averaged."), strict=strict)
    # a process that was not there before keeps its fresh generator
    mine = tensors.get(generator_name(distributed.rank()))
    if mine is not None:
        state.generator.set_state(mine)
    state.step, state.progress = numbers["step"], numbers["progress"]
    state.average.n_averaged.fill_(state.step)
    buffers = strip(tensors, "adam.")
    for name, weight in state.model.named_parameters():
        state.optimiser.state[weight] = {
            key: buffers[f"{name}.{key}"].to("cpu" if key == "step" else weight.device)
            for key in ADAM_BUFFERS
            if f"{name}.{key}" in buffers
        }


def adam_buffers(state: State[ModelT]) -> dict[str, torch.Tensor]:
    """Return the moments of the optimiser by the name of their weight."""
    return {
        f"{name}.{key}": buffer
        for name, weight in state.model.named_parameters()
        for key, buffer in state.optimiser.state[weight].items()
    }


def strip(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    """Keep the tensors whose name begins with a prefix, and drop the prefix."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
