import pytest

from inversesr.benchmarks.rows import Row, with_time_to_quality


def traced(solver, *points, image="head", final=None):
    return Row(image, solver, 4.0, 0.0, "rect", 0.0, null_space_psnr_db=final, trace=points)


def test_the_time_to_quality_is_that_of_the_first_image_as_good_as_the_reference():
    rows = [
        traced("tv", (0.0, 10.0), (1.0, 21.0), (2.0, 19.0), (3.0, 22.0)),
        traced("spline", (0.0, 10.0), (0.1, 10.0)),
        traced("inversesr-dec", (0.0, 10.0), (50.0, 25.0), (99.0, 20.0), final=20.0),
    ]
    assert [row.seconds_until for row in with_time_to_quality(rows)] == [1.0, None, 50.0]


def test_each_task_has_a_reference_of_its_own():
    rows = [
        traced("tv", (1.0, 21.0), image="one"),
        traced("inversesr-dec", (2.0, 20.0), image="one", final=20.0),
        traced("tv", (1.0, 21.0), image="two"),
        traced("inversesr-dec", (3.0, 22.0), image="two", final=22.0),
        traced("tv", (1.0, 21.0), image="no reference"),
    ]
    found = [row.seconds_until for row in with_time_to_quality(rows)]
    assert found == [1.0, 2.0, None, 3.0, None]


@pytest.mark.parametrize(
    ("row", "task"),
    [
        (Row("a, b", "tv", 4.0, 0.0, "rect", 2.0, "S"), "a, b, 4|0 mm rect, 2 % noise"),
        (traced("tv"), "head, 4|0 mm rect"),
        (Row("phantom", "tv"), "phantom"),
        (Row("c", "tv", 4.0, 1.0, "slr", 0.0, "R"), "c, 4|1 mm slr along R"),
    ],
)
def test_a_task_is_named_in_words(row, task):
    assert row.task == task
