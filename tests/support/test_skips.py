import re

import pytest

from tests.support import skips

pytest_plugins = ["pytester"]
SKIPPED = """
import pytest

def test_that_passes():
    pass

@pytest.mark.skip(reason="needs a CUDA device")
def test_of_a_gpu():
    pass

@pytest.mark.xfail(reason="known to fail")
def test_that_is_expected_to_fail():
    assert False
"""
MISSING = """
import pytest
pytest.importorskip("no_such_package", reason="the extra [report] is not installed")
"""
IN_A_TEST = """
import pytest

def test_that_gives_up():
    pytest.skip("no time today")
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs pytest in a project of its own; returns the exit status and what was written."""
    allowed = pytester.makefile(".txt", allowed="needs a CUDA device  # a GPU\n")
    monkeypatch.setattr(skips, "LIST", allowed)

    def run(text, *options):
        pytester.makepyfile(text)
        found = pytester.inline_run(
            "-p", "tests.support.skips", "-p", "no:cacheprovider", *options
        )
        return found.ret

    return run


def test_a_skip_in_the_list_passes_and_one_that_is_not_fails_the_run(run):
    assert run(SKIPPED, "--strict-skips") == pytest.ExitCode.OK
    assert run(IN_A_TEST, "--strict-skips") == pytest.ExitCode.TESTS_FAILED


def test_a_module_that_is_skipped_as_a_whole_fails_the_run_too(run):
    assert run(MISSING, "--strict-skips") == pytest.ExitCode.TESTS_FAILED


def test_without_the_switch_every_skip_passes(run):
    assert run(IN_A_TEST) == pytest.ExitCode.OK


def test_the_run_says_which_test_was_skipped_and_why(run, capsys):
    run(IN_A_TEST, "--strict-skips")
    written = capsys.readouterr().out
    assert "skips that are not allowed" in written
    assert re.search(r"test_that_gives_up: no time today", written)


def test_a_test_that_fails_is_told_as_before(run):
    assert run("def test_it():\n    assert False", "--strict-skips") == 1


def test_the_list_in_the_repository_holds_no_package_that_pip_installs():
    patterns = skips.read_patterns(skips.LIST.read_text())
    assert skips.is_allowed("needs a CUDA device", patterns)
    for reason in ("the extra [report] is not installed", "could not import 'matplotlib'"):
        assert not skips.is_allowed(reason, patterns)
    assert all(pattern.pattern for pattern in patterns)
