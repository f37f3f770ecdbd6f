import pytest

from tests.mutation import runner
from tests.mutation.runner import Mutant, StaleMutantError, judge, mutated, run_in_copy

RULE = "LIMIT = 3\n\n\ndef is_large(n):\n    return n > LIMIT\n"
TESTS = """
from inversesr.rule import is_large

def test_four_is_large():
    assert is_large(4)

def test_a_hundred_is_large():
    assert is_large(100)
"""
FILE = "inversesr/rule.py"


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of one module and two tests, of which one looks closely."""
    monkeypatch.setattr(runner, "PRELOADED", ["pytest"])
    for name, text in (("inversesr/rule.py", RULE), ("tests/test_rule.py", TESTS)):
        file = tmp_path / name
        file.parent.mkdir()
        file.with_name("__init__.py").touch()
        file.write_text(text)
    return tmp_path


def raised_limit(test, old="LIMIT = 3"):
    return Mutant(FILE, old, "LIMIT = 9", "four is large", (f"tests/test_rule.py{test}",))


def test_a_mutant_that_a_test_notices_is_killed(project):
    assert judge(raised_limit(""), project).status == "killed"
    assert (project / FILE).read_text() == RULE


def test_a_mutant_that_no_test_notices_survives(project):
    outcome = judge(raised_limit("::test_a_hundred_is_large"), project)
    assert outcome.status == "survived"


def test_a_mutant_whose_text_is_gone_is_an_error(project):
    outcome = judge(raised_limit("", old="LIMIT = 4"), project)
    assert outcome.status == "broken"
    assert "'LIMIT = 4' 0 times; expected once" in outcome.detail


def test_a_text_that_stands_twice_or_stays_the_same_is_an_error(project):
    for old, new in (("LIMIT", "BOUND"), ("LIMIT = 3", "LIMIT = 3")):
        with pytest.raises(StaleMutantError, match="bring the mutant of 'rule' up to date"):
            mutated(Mutant(FILE, old, new, "rule", ()), project)


def test_tests_that_do_not_run_kill_nothing(project):
    assert judge(raised_limit("::test_that_was_renamed"), project).status == "broken"
    unreadable = Mutant(FILE, "LIMIT = 3", "LIMIT = (", "rule", ("tests/test_rule.py",))
    assert judge(unreadable, project).status == "broken"


def test_the_copy_is_tested_and_not_the_package_that_is_installed(project):
    (project / "tests" / "test_rule.py").write_text(
        "import inversesr\n\ndef test_it():\n    assert not hasattr(inversesr, 'restore')\n"
    )
    status, _, detail = run_in_copy(("tests/test_rule.py",), project)
    assert status == 0, detail


def test_tests_that_never_end_are_ended(project, monkeypatch):
    monkeypatch.setattr(runner, "TIMEOUT_SECONDS", 2.0)
    (project / "tests" / "test_rule.py").write_text(
        "import time\n\n\ndef test_it():\n    time.sleep(60)\n"
    )
    status, seconds, _ = run_in_copy(("tests/test_rule.py",), project)
    assert status == runner.TOOK_TOO_LONG
    assert seconds < 30.0


def test_large_files_are_linked_and_compiled_ones_left_behind(project, tmp_path_factory):
    large = project / "inversesr" / "weights.bin"
    large.write_bytes(bytes(runner.LARGEST_COPIED_BYTES + 1))
    cache = project / "inversesr" / "__pycache__"
    cache.mkdir()
    folder = tmp_path_factory.mktemp("copy")
    runner.copy_project(folder, project)
    assert (folder / "inversesr" / "weights.bin").is_symlink()
    assert not (folder / FILE).is_symlink()
    assert not (folder / "inversesr" / "__pycache__").exists()
