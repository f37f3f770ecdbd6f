"""What was done is taken up again, and nothing of another run."""

import numpy as np

from inversesr.workflows.series.work import Work


def test_work_for_the_same_key_is_taken_up_and_other_work_is_cleared(tmp_path):
    work = Work(tmp_path / "work")
    work.begin({"a": 1})
    assert work.mean() is None
    work.keep_mean(np.ones((2, 2, 2)), np.eye(4)[None], {"solver": "tv", "notes": []})
    work.frames((2, 2, 2, 3))[..., 1] = 5.0
    work.keep_done({"0": {"misfit": 1.0}})
    work.begin({"a": 1})
    assert work.mean()["solver"] == "tv"
    assert work.frames((2, 2, 2, 3))[..., 1].mean() == 5.0
    assert work.done() == {"0": {"misfit": 1.0}}
    work.begin({"a": 2})
    assert work.mean() is None
    assert work.done() == {}
    work.end()
    assert not work.folder.exists()
