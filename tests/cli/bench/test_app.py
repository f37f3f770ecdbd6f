import subprocess
import sys

import typer

from inversesr.cli.app import app


def subcommands():
    return typer.main.get_command(app).commands["bench"].commands


def test_every_subcommand_is_listed_with_a_whole_sentence(bench):
    lines = bench("--help").stdout.splitlines()
    for name, command in subcommands().items():
        sentence = command.help.splitlines()[0]
        assert any(line.split()[:1] == [name] and line.endswith(sentence) for line in lines), name


def test_an_option_means_the_same_in_every_subcommand():
    told = {}
    for command in subcommands().values():
        for option in command.params:
            if option.name not in (
                "help",
                "truth",
                "truths",
                "solver",
                "output",
                "thickness",
                "prior",
            ):
                told.setdefault(option.name, set()).add(option.help)
    assert {"crop", "settings", "seed", "csv", "as_json", "gap"} <= set(told)
    assert all(len(texts) == 1 for texts in told.values()), told


def test_help_needs_no_torch():
    code = (
        "import sys; from typer.testing import CliRunner; from inversesr.cli.app import app; "
        "assert not CliRunner().invoke(app, ['bench', 'solvers', '--help']).exit_code; "
        "sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_misspelt_subcommand_is_told_from_a_file(bench):
    result = bench("robustnes", "head.nii.gz")
    assert result.exit_code == 2
    assert "Did you mean 'robustness'?" in result.stderr
