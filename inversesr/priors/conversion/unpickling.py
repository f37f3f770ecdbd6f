"""Reads the tensors of a foreign checkpoint without running anything that it holds.

The only module that opens a foreign checkpoint. Nothing that a checkpoint names is ever imported
or called: a pickled module is read by an unpickler that knows tensors and containers and puts an
empty shell in place of everything else.
"""

import pickle
import types
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from inversesr.errors import InputError
from inversesr.priors.tensors import load_tensors

# what unpicklers raise on bytes that are not theirs
_UNREADABLE = (RuntimeError, EOFError, ValueError, TypeError, KeyError, IndexError, AttributeError)


def read_checkpoint(path: Path, *, trust_pickle: bool = False) -> dict[str, Tensor]:
    """Read all tensors of a foreign checkpoint.

    Args:
        path: A `.safetensors` file, a state dict saved by torch, or a whole pickled module.
        trust_pickle: Whether a file that is more than a state dict may be opened.

    Returns:
        Tensors by dotted name, nested dictionaries and modules flattened.

    Raises:
        InputError: the file is missing, unreadable, or needs trust_pickle.
    """
    if path.suffix == ".safetensors":
        return load_tensors(path)
    if not path.is_file():
        message = f"{path} is missing; expected a checkpoint"
        raise InputError(message)
    try:
        value = _open_checkpoint(path, trust_pickle)
    except _UNREADABLE as error:
        message = f"{path} is no readable checkpoint ({error}); fetch it again"
        raise InputError(message) from error
    return dict(_flatten(value, ""))


def _open_checkpoint(path: Path, trust_pickle: bool) -> object:  # noqa: FBT001  (private)
    """Read the value in a checkpoint, by torch's safe unpickler or, when trusted, by shells."""
    with warnings.catch_warnings():
        # torch remarks on the pickle protocol and on missing source code: neither matters here
        warnings.simplefilter("ignore")
        try:
            mapped = zipfile.is_zipfile(path)
            value: object = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)  # noqa: TID251  (this is the one module)
        except pickle.UnpicklingError as error:
            if not trust_pickle:
                message = (
                    f"{path} holds pickled Python objects; expected a dictionary of tensors: if "
                    "you trust where it came from, repeat the command with --trust-pickle"
                )
                raise InputError(message) from error
            value = _unpickle_shells(path)
    return value


class _Shell:
    """Stands in place of any class or function that a pickle names; keeps only attributes."""

    def __new__(cls, *_args: object, **_kwargs: object) -> "_Shell":
        return super().__new__(cls)

    def __init__(self, *_args: object, **_kwargs: object) -> None:
        """Take any arguments and do nothing with them."""

    def __setstate__(self, state: object) -> None:
        for part in state if isinstance(state, tuple) else (state,):
            if isinstance(part, dict):
                self.__dict__.update({str(name): value for name, value in part.items()})

    def __setitem__(self, _name: object, _value: object) -> None:
        """Ignore items of containers that are not ours."""

    def __call__(self, *_args: object, **_kwargs: object) -> "_Shell":
        return _Shell()

    def append(self, _value: object) -> None:
        """Ignore items of containers that are not ours."""

    def extend(self, _values: object) -> None:
        """Ignore items of containers that are not ours."""


_SAFE_GLOBALS = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("builtins", "dict"): dict,
    ("builtins", "list"): list,
    ("torch", "Size"): torch.Size,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
}


class _ShellUnpickler(pickle.Unpickler):
    """Resolves only what tensors and containers need; everything else becomes a shell."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401  (as in the base class)
        known = _SAFE_GLOBALS.get((module, name))
        return known if known is not None else type(name, (_Shell,), {})


def _unpickle_shells(path: Path) -> object:
    """Read a pickled module without importing or calling anything of its own."""
    reader = types.ModuleType("shells")
    vars(reader).update(
        Unpickler=_ShellUnpickler,
        load=lambda stream, **options: _ShellUnpickler(stream, **options).load(),
        __name__="shells",
    )
    value: object = torch.load(path, map_location="cpu", pickle_module=reader, weights_only=False)  # noqa: TID251
    return value


def _flatten(value: object, prefix: str) -> list[tuple[str, Tensor]]:
    """List the tensors of nested dictionaries and module shells by dotted name."""
    if isinstance(value, Tensor):
        return [(prefix, value.detach())]
    members: dict[Any, Any] = {}
    if isinstance(value, _Shell):
        for kind in ("_parameters", "_buffers", "_modules"):
            members.update(vars(value).get(kind) or {})
    elif isinstance(value, Mapping):
        members = dict(value)
    found = []
    for name, member in members.items():
        found += _flatten(member, f"{prefix}.{name}" if prefix else str(name))
    return found
