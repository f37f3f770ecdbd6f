"""What a run on a series has done so far, on the disk: an interrupted run goes on from there."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversesr.io.json_text import json_text

KEY, MEAN, FRAMES, DONE = "key.json", "mean.npz", "frames.f32", "done.json"


@dataclass(frozen=True)
class Work:
    """A folder of what was done.

    Attributes:
        folder: The folder.
    """

    folder: Path

    def begin(self, key: dict[str, Any]) -> None:
        """Take up what was done for the same file and choices; clear away anything else.

        Args:
            key: What decides on the result, as plain data.
        """
        text = json_text(key, indent=1)
        file = self.folder / KEY
        if file.is_file() and file.read_text() == text:
            return
        self.end()
        self.folder.mkdir(parents=True)
        file.write_text(text)

    def end(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def mean(self) -> dict[str, Any] | None:
        """Return what was kept of the mean, or None."""
        file = self.folder / MEAN
        if not file.is_file():
            return None
        with np.load(file, allow_pickle=False) as kept:
            found = {name: kept[name] for name in ("x", "poses")}
            return {**found, **json.loads(str(kept["facts"]))}

    def keep_mean(self, x: NDArray[Any], poses: NDArray[Any], facts: dict[str, Any]) -> None:
        """Keep the mean.

        Args:
            x: The image.
            poses: Poses of all volumes.
            facts: What else is to be known of it, as plain data.
        """
        partial = self.folder / f"partial-{MEAN}"
        np.savez(partial, x=x, poses=poses, facts=np.array(json.dumps(facts)))
        partial.rename(self.folder / MEAN)

    def frames(self, shape: Sequence[int]) -> NDArray[np.float32]:
        """Return the frames, which lie on the disk, shape (X, Y, Z, n_frames)."""
        file = self.folder / FRAMES
        mode: Any = "r+" if file.is_file() else "w+"
        return np.memmap(file, np.float32, mode, shape=tuple(shape), order="F")

    def done(self) -> dict[str, Any]:
        """Return what is known of the windows that are done, by their first volume."""
        file = self.folder / DONE
        return json.loads(file.read_text()) if file.is_file() else {}

    def keep_done(self, done: dict[str, Any]) -> None:
        """Note which windows are done; their frames are on the disk by now."""
        partial = self.folder / f"partial-{DONE}"
        partial.write_text(json.dumps(done))
        partial.rename(self.folder / DONE)
