from inversesr.benchmarks.realism_rows import MEAN, SAMPLE, Realism, mean_rows

TASK = "4|0 mm rect"


def test_means_are_taken_for_each_solver_and_kind():
    rows = [
        Realism("a", TASK, "tv", psnr_db=20.0, crps=1.0),
        Realism("a", TASK, "tv", SAMPLE, psnr_db=10.0),
        Realism("b", TASK, "tv", psnr_db=30.0, crps=2.0),
        Realism("b", TASK, "tv", SAMPLE, psnr_db=14.0),
        Realism("b", "6|0 mm rect", "tv", psnr_db=1.0),
    ]
    means = mean_rows(rows)
    assert [(m.image, m.task, m.kind) for m in means] == [
        (MEAN, TASK, "image"),
        (MEAN, TASK, SAMPLE),
        (MEAN, "6|0 mm rect", "image"),
    ]
    assert [m.psnr_db for m in means] == [25.0, 12.0, 1.0]
    assert means[0].crps == 1.5


def test_what_is_not_known_of_every_image_has_no_mean():
    rows = [
        Realism("a", TASK, "tv", smooth_sd_ratio=1.0),
        Realism("b", TASK, "tv", smooth_sd_ratio=None),
    ]
    assert mean_rows(rows)[0].smooth_sd_ratio is None
