import numpy as np

from inversesr.report.dwi import SHOWN, side_by_side
from inversesr.volume import Grid


def test_thick_and_thin_maps_share_a_window():
    grids = {
        "thick": Grid((6, 6, 4), np.diag([2.0, 2, 4, 1])),
        "thin": Grid((6, 6, 8), np.diag([2.0, 2, 2, 1])),
    }
    maps = {k: {"adc": np.full(g.shape, 1.5e-3, np.float32)} for k, g in grids.items()}
    figure = side_by_side("adc", maps, grids)
    pictures = [image for panel in figure.axes for image in panel.get_images()]
    assert len(pictures) >= 6
    assert {image.get_clim() for image in pictures[:6]} == {(0.0, SHOWN["adc"][1])}
    np.testing.assert_allclose(pictures[0].get_array(), 1.5, rtol=1e-5)
