import pytest


def test_a_picture_is_written_and_each_score_is_a_line(desk, bench):
    result = bench("picture", "head.nii.gz", "-o", "solvers.png", "--solver", "spline,tv")
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()] == ["spline", "tv", "picture:"]
    assert (desk / "solvers.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["-o", "solvers.jpg"], "expected a name ending in .png"),
        (["-o", "a.png", "--solver", "magic"], "solver is magic"),
        (["-o", "a.png", "--thickness", "-1"], "thickness is -1"),
    ],
)
def test_bad_input_is_one_sentence_before_any_work(refused, words, sentence):
    assert sentence in refused("picture", "head.nii.gz", *words)
