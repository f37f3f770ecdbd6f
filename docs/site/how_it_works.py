"""Draws the figure of docs/explanation/how-it-works.md: `python docs/site/how_it_works.py`.

Thick slices are simulated from the MNI152 template by `inversesr.simulate`, whose code is not that
of the solvers, and restored by the default method.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from nilearn.datasets import load_mni152_template

import inversesr
from inversesr.operators.slice_profile import PROFILES, slice_matrix

FILE = Path(__file__).parents[1] / "images" / "how-it-works.png"
THICKNESS_MM, GAP_MM = 5.0, 1.0
# A slab of the template, 1 mm voxels, with all of the brain from back to front and up to down.
SLAB = (slice(58, 122), slice(12, 220), slice(8, 164))
PLANE = 42
# Fine voxels of 0.1 mm show the profiles as curves.
STEP_MM, REACH_MM = 0.1, 12.0


def main() -> None:
    """Draw and write the figure."""
    head = load_mni152_template(resolution=1).slicer[SLAB]
    scan = inversesr.simulate(head, thickness_mm=THICKNESS_MM, gap_mm=GAP_MM)
    how = {"thickness_mm": THICKNESS_MM, "gap_mm": GAP_MM}
    interpolated = inversesr.restore(scan, solver="spline", **how)
    restored = inversesr.restore(scan, **how)
    figure = Figure(figsize=(11, 6.6), layout="constrained")
    panels = figure.subplots(2, 3)
    _image(panels[0, 0], head, "1. fine image x")
    _profiles(panels[0, 1])
    _image(panels[0, 2], scan, f"3. measured slices y, {THICKNESS_MM:g} mm, gap {GAP_MM:g} mm")
    _image(panels[1, 0], interpolated.image, "4. cubic interpolation of y")
    _image(panels[1, 1], restored.image, f"5. restored ({restored.solver_used})")
    _agreement(panels[1, 2], {"interpolated": interpolated, "restored": restored})
    figure.savefig(FILE, dpi=110, metadata={"Software": None})


def _image(panel: Axes, image: Any, title: str) -> None:  # noqa: ANN401 (nibabel has no types)
    plane = np.asarray(image.dataobj)[PLANE].T
    across, up = image.header.get_zooms()[1:3]
    panel.imshow(plane, cmap="gray", origin="lower", aspect=up / across, vmin=0, vmax=plane.max())
    panel.set_title(title, fontsize=10)
    panel.axis("off")


def _profiles(panel: Axes) -> None:
    """Draw the weights with which tissue enters two neighbouring slices."""
    edges = np.arange(-REACH_MM, REACH_MM + STEP_MM, STEP_MM)
    centres = np.array([-0.5, 0.5]) * (THICKNESS_MM + GAP_MM)
    for number, name in enumerate(PROFILES):
        weights = slice_matrix(edges, centres, THICKNESS_MM, name) / STEP_MM
        middle = (edges[:-1] + edges[1:]) / 2.0
        for row, style in zip(weights, ("-", "--"), strict=True):
            label = name if style == "-" else None
            panel.plot(middle, row, style, color=f"C{number}", label=label, linewidth=1.2)
    panel.set_title("2. slice profiles: rows of A", fontsize=10)
    panel.set_xlabel("position across the slices, mm")
    panel.set_ylabel("weight per mm")
    panel.legend(fontsize=8)


def _agreement(panel: Axes, results: dict[str, Any]) -> None:
    """Draw the difference from each measured slice."""
    for name, result in results.items():
        source = result.sources[0]
        share = np.array(source.agreement.rms_by_slice) / np.ptp(source.scan.volume.data)
        panel.semilogy(np.maximum(share, 1e-9), marker=".", label=name)
    panel.set_title("6. difference of A x from y", fontsize=10)
    panel.set_xlabel("measured slice")
    panel.set_ylabel("rms, share of the range")
    panel.legend(fontsize=8)


if __name__ == "__main__":
    main()
