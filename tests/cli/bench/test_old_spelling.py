import json

import pytest

from inversesr.cli.bench.old_spelling import SUBCOMMANDS, is_old, new_spelling
from inversesr.errors import InputError


@pytest.mark.parametrize(("option", "subcommand"), SUBCOMMANDS.items())
def test_a_kind_of_benchmark_was_an_option(option, subcommand):
    words = ["a.nii.gz", option, "--csv", "rows.csv"]
    assert new_spelling(words) == [subcommand, "a.nii.gz", "--csv", "rows.csv"]


def test_without_such_an_option_solvers_were_compared():
    assert new_spelling(["a.nii.gz", "--crop", "64"]) == ["solvers", "a.nii.gz", "--crop", "64"]
    assert new_spelling([]) == ["solvers"]


def test_two_kinds_at_a_time_were_refused_and_still_are(refused):
    with pytest.raises(InputError, match="one of them at a time"):
        new_spelling(["--robustness", "--scaling"])
    assert "one of them at a time" in refused("--robustness", "--scaling")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], True),
        (["--scaling"], True),
        (["brain.nii.gz"], True),
        (["brains/brain", "--robustness"], False),
        (["robustness", "brain.nii.gz"], False),
        (["robustnes"], False),
        (["--help"], False),
    ],
)
def test_an_old_spelling_is_told_from_a_subcommand(words, expected):
    assert is_old(words, {"robustness"}) == expected


def test_a_file_without_a_suffix_is_an_image(tmp_path):
    (tmp_path / "brain").touch()
    assert is_old([str(tmp_path / "brain")], {"robustness"})


@pytest.mark.usefixtures("desk")
@pytest.mark.parametrize(
    ("old", "new"),
    [
        (["head.nii.gz"], ["solvers", "head.nii.gz"]),
        (
            ["head.nii.gz", "--robustness", "--noise", "0"],
            ["robustness", "head.nii.gz", "--noise", "0"],
        ),
        (["--robustness", "head.nii.gz"], ["robustness", "head.nii.gz"]),
    ],
)
def test_old_and_new_spelling_give_the_same_rows_and_the_old_one_a_warning(bench, old, new):
    few = ["--solver", "spline", "--thickness", "4", "--profile", "rect", "--json"]
    before, after = bench(*old, *few), bench(*new, *few)
    assert before.exit_code == after.exit_code == 0, before.output

    def figures(result):
        return [
            {name: v for name, v in row.items() if "seconds" not in name and name != "peak_gib"}
            for row in json.loads(result.stdout)["rows"]
        ]

    assert figures(before) == figures(after) != []
    assert f"warning: write `inversesr bench {new[0]} ...`" in before.stderr
    assert "warning" not in after.stderr
