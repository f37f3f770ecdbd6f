"""The pictures of a series."""

import io

import numpy as np

from inversesr.acquisition.geometry import Acquisition
from inversesr.measurements.series import SeriesModel
from inversesr.report.series import Pictured, cine
from inversesr.volume import Grid


def test_the_cine_shows_measured_and_restored_and_moves():
    from matplotlib import image as pictures

    grid = Grid((6, 8, 4), np.diag([2.0, 2.0, 4.0, 1.0]))
    acquisition = Acquisition(2, 4.0, 4.0, "rect", (2.0, 2.0, 2.0))
    model = SeriesModel(grid, acquisition, np.zeros(4), 2.0, 2.0, (np.eye(4),) * 3)
    y = np.ones((3, 6, 8, 4), np.float32) * np.array([1, 2, 3])[:, None, None, None]
    frames = np.ones((6, 8, 8, 3), np.float32)
    tsnr = np.ones((6, 8, 4), np.float32), np.ones((6, 8, 8), np.float32)
    blob = cine(Pictured(y.astype(np.float32), frames, *tsnr, model))
    assert blob.startswith(b"GIF8")
    assert blob.count(b"\x21\xf9\x04") == 3  # a control block a frame
    assert pictures.imread(io.BytesIO(blob), format="gif").shape[:2] == (360, 720)
