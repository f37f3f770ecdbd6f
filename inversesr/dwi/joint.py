"""Joint restoration of diffusion-weighted volumes: each learns from the others, within the scan.

    detail_v = W [f, max(R f, 0), 1],     f: patches of volume v, of the mean b0 and the mean
                                             weighted volume, and the restored detail of both

Every slice becomes k thin ones. What a thick slice hides is learned from the scan itself: its
volumes are made thick along the two axes within the slices, where the thin voxels are known, by
the profile of the slices. W is a ridge regression, in closed form; R is random and fixed. All
volumes with a weighting share one W, so that directions support one another.

Reference: learning from the fine axes of the same scan: Zhao, Dewey, Pham, Calabresi, Reich,
Prince (2021), SMORE, IEEE Transactions on Medical Imaging 40(3):805-817,
doi:10.1109/TMI.2020.3037187; random features: Huang, Zhu, Siew (2006), Extreme learning machine,
Neurocomputing 70:489-501, doi:10.1016/j.neucom.2005.12.126.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Image = NDArray[np.float32]
Matrix = NDArray[np.float64]
Voxels = tuple[NDArray[np.int64], ...]
# (X, Y, n) thick slices -> (X, Y, n, k): what the default solver adds to each thin slice
Restorer = Callable[[Image], Image]

# Voxels on each side in a patch: two axes within the slice, and slices.
REACH = (1, 1, 2)
# Signals are in units of each volume's bright tissue; this much is added before dividing.
SOFTENING = 0.1
BRIGHT_QUANTILE = 0.9
# Where the weighted volumes are darker than this there is nothing to learn, or to restore.
TAUGHT_LEVEL, RESTORED_LEVEL = 0.2, 0.1
MOST_SHARE = 1.0
CLIPPED = 4.0


@dataclass(frozen=True)
class JointOptions:
    """Options of the joint restoration.

    Attributes:
        n_samples: Voxels that the regression learns from, of each kind of volume.
        n_random: Random features.
        ridge: Penalty of the regression, as a share of a feature's variance.
        seed: Seed of the random features and of the choice of voxels.
    """

    n_samples: int = 60_000
    n_random: int = 200
    ridge: float = 1e-3
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Slicing:
    """How slices part into thin ones.

    Attributes:
        n_thin: Thin slices a slice, k.
        profile: Weights of thin voxels in a slice: its own k, and those of its neighbours on
            both sides, shape (3 k,), with sum 1.
    """

    n_thin: int
    profile: Matrix


@dataclass(frozen=True, eq=False)
class Stack:
    """Thick slices of all volumes, and what the guides show of the thin ones.

    Attributes:
        volumes: In units of bright tissue, shape (V, X, Y, n).
        b0: Mean of the volumes without weighting.
        mean: Mean of the weighted ones.
        details: What the default solver adds to b0 and to mean, each (X, Y, n, k).
    """

    volumes: Image
    b0: Image
    mean: Image
    details: tuple[Image, Image]


@dataclass(frozen=True, eq=False)
class Regression:
    """A fitted regression; see the head of this module."""

    centre: Image
    spread: Image
    random: Image
    offset: Image
    weights: Image

    def __call__(self, features: Image) -> Image:
        """Return details, shape (n, k), of features, shape (n, n_features)."""
        return _expanded(features, self) @ self.weights


def restore_details(
    volumes: Image,
    is_b0: NDArray[np.bool_],
    slicing: Slicing,
    restorer: Restorer,
    options: JointOptions,
    progress: Callable[[str, int, int], None] = lambda _phase, _done, _total: None,
) -> Image:
    """Return what each thin slice differs by from the thick slice that it lies in.

    Args:
        volumes: Thick slices, shape (V, X, Y, n), in the scan's intensities.
        is_b0: Which volumes have no diffusion weighting; some, and not all.
        slicing: How slices part into thin ones.
        restorer: The default solver, for the two guides.
        options: Options.
        progress: Called with a phase, the steps done and their total.

    Returns:
        Details, shape (V, X, Y, n, k); 0 where there is no tissue.
    """
    scale, n_thin = bright_level(volumes), slicing.n_thin
    units = volumes / scale[:, None, None, None]
    steps = 3 + len(volumes)
    stacks = []
    for step, axis in enumerate((1, 2)):
        progress("learning from the scan", step, steps)
        thin = np.swapaxes(units, axis, 3)
        thick = seen_as_slices(thin, slicing)
        n = thick.shape[3]
        fine = thin[..., : n * n_thin].reshape(*thin.shape[:3], n, n_thin)
        stacks.append((_stack(thick, is_b0, restorer), fine))
    rng = np.random.default_rng(options.seed)
    models = {kind: _fit(stacks, is_b0 == kind, options, rng) for kind in (True, False)}
    progress("restoring guides", 2, steps)
    whole = _stack(units, is_b0, restorer)
    found = np.zeros((*volumes.shape, n_thin), dtype=np.float32)
    for v in range(len(volumes)):
        progress("restoring volumes", 3 + v, steps)
        found[v] = _predicted(whole, v, models[bool(is_b0[v])]) * scale[v]
    progress("restoring volumes", steps, steps)
    return found


def bright_level(volumes: Image) -> Image:
    """Return the level of bright tissue of each volume, shape (V,), above 0."""
    levels = np.quantile(volumes.reshape(len(volumes), -1), BRIGHT_QUANTILE, axis=1)
    tops = volumes.reshape(len(volumes), -1).max(axis=1)
    return np.asarray(np.where(levels > 0.0, levels, np.maximum(tops, 1e-30)), dtype=np.float32)


def seen_as_slices(thin: Image, slicing: Slicing) -> Image:
    """Return thin voxels along the last axis as slices of k of them would show them.

    Args:
        thin: Volumes, shape (V, X, Y, N).
        slicing: How slices part into thin ones.

    Returns:
        Slices, shape (V, X, Y, N // k).
    """
    n_thin = slicing.n_thin
    n = thin.shape[3] // n_thin
    used = thin[..., : n * n_thin]
    padded = np.pad(used, [(0, 0)] * 3 + [(n_thin, n_thin)], mode="edge")
    windows = sliding_window_view(padded, 3 * n_thin, axis=3)[..., ::n_thin, :]
    return np.asarray(windows @ slicing.profile.astype(np.float32), dtype=np.float32)


def _stack(volumes: Image, is_b0: NDArray[np.bool_], restorer: Restorer) -> Stack:
    b0, mean = volumes[is_b0].mean(axis=0), volumes[~is_b0].mean(axis=0)
    return Stack(volumes, b0, mean, (restorer(b0), restorer(mean)))


def _features(stack: Stack, v: int, at: Voxels) -> tuple[Image, Image]:
    """Return features of voxels of a volume, and the signal that they are relative to."""
    own = stack.volumes[v]
    columns: list[Image] = []
    softened: list[Image] = []
    for image in (own, stack.mean, stack.b0):
        patch = _patches(image, at)
        middle = patch.shape[1] // 2
        level = patch[:, middle : middle + 1]
        softened.append((np.maximum(level, 0.0) + SOFTENING).astype(np.float32))
        beside = np.delete(patch - level, middle, axis=1) / softened[-1]
        columns.append(beside.astype(np.float32))
    columns += [softened[0] / softened[1], softened[1], softened[2]]
    for detail, level in zip(stack.details, (softened[2], softened[1]), strict=True):
        columns.append(_thin_windows(detail, at) / level)
    return np.concatenate(columns, axis=1, dtype=np.float32), softened[0]


def _patches(image: Image, at: Voxels) -> Image:
    padded = np.pad(image, [(r, r) for r in REACH], mode="edge")
    windows = sliding_window_view(padded, [2 * r + 1 for r in REACH])
    return windows[at].reshape(len(at[0]), -1)


def _thin_windows(detail: Image, at: Voxels) -> Image:
    """Return the details of the thin slices of voxels, and of one more on each side."""
    k = detail.shape[3]
    line = detail.reshape(*detail.shape[:2], -1)
    padded = np.pad(line, [(0, 0), (0, 0), (1, 1)], mode="edge")
    return sliding_window_view(padded, k + 2, axis=2)[:, :, ::k][at]


def _fit(
    stacks: list[tuple[Stack, Image]],
    is_taught: NDArray[np.bool_],
    options: JointOptions,
    rng: np.random.Generator,
) -> Regression:
    """Fit the regression of one kind of volume."""
    volumes = np.flatnonzero(is_taught)
    n_each = max(1, options.n_samples // (len(stacks) * len(volumes)))
    features, details = [], []
    for stack, fine in stacks:
        tissue = np.argwhere(stack.mean > TAUGHT_LEVEL)
        if not len(tissue):
            tissue = np.argwhere(np.ones(stack.mean.shape, dtype=np.bool_))
        for v in volumes:
            chosen = tissue[rng.permutation(len(tissue))[:n_each]]
            at: Voxels = (chosen[:, 0], chosen[:, 1], chosen[:, 2])
            f, level = _features(stack, int(v), at)
            features.append(f)
            details.append((fine[v][at] - stack.volumes[v][at][:, None]) / level)
    f = np.concatenate(features)
    wanted = np.clip(np.concatenate(details), -MOST_SHARE, MOST_SHARE)
    n = f.shape[1]
    model = Regression(
        f.mean(axis=0),
        f.std(axis=0) + 1e-6,
        (1.5 / n**0.5 * rng.standard_normal((n, options.n_random))).astype(np.float32),
        rng.standard_normal(options.n_random).astype(np.float32),
        np.zeros((n + options.n_random + 1, wanted.shape[1]), np.float32),
    )
    e = _expanded(f, model)
    gram = (e.T @ e).astype(np.float64)
    gram[np.diag_indices_from(gram)] += options.ridge * len(e)
    weights = np.linalg.solve(gram, (e.T @ wanted).astype(np.float64))
    return Regression(
        model.centre, model.spread, model.random, model.offset, weights.astype(np.float32)
    )


def _expanded(features: Image, model: Regression) -> Image:
    f = np.clip((features - model.centre) / model.spread, -CLIPPED, CLIPPED)
    hidden = np.maximum(f @ model.random + model.offset, 0.0)
    return np.concatenate([f, hidden, np.ones((len(f), 1), np.float32)], axis=1)


def _predicted(stack: Stack, v: int, model: Regression) -> Image:
    """Return the details of a volume: the mean over both senses of the slice axis."""
    k = stack.details[0].shape[3]
    found = np.zeros((*stack.mean.shape, k), dtype=np.float32)
    for one, back in ((stack, slice(None)), (_mirrored(stack, v), slice(None, None, -1))):
        at: Voxels = np.nonzero(one.mean > RESTORED_LEVEL)
        half = np.zeros_like(found)
        if len(at[0]):
            features, level = _features(one, v if back == slice(None) else 0, at)
            half[at] = model(features) * level
        found += half[:, :, back, back] / 2.0
    return found


def _mirrored(stack: Stack, v: int) -> Stack:
    """Return a stack of one volume whose slices run the other way."""
    b0, mean = (image[:, :, ::-1] for image in (stack.b0, stack.mean))
    first, second = (d[:, :, ::-1, ::-1] for d in stack.details)
    return Stack(stack.volumes[v : v + 1, :, :, ::-1], b0, mean, (first, second))
