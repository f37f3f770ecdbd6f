import re

import pytest

from tests.mutation.runner import ROOT, mutated
from tests.mutation.table import MUTANTS


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.file}: {m.promise}")
def test_the_text_that_a_mutant_replaces_is_still_there(mutant):
    compile(mutated(mutant), mutant.file, "exec")


@pytest.mark.parametrize("named", sorted({test for m in MUTANTS for test in m.tests}))
def test_the_tests_that_should_notice_exist(named):
    file, *names = named.split("::")
    assert (ROOT / file).exists()
    for name in names:
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_no_mutant_stands_twice_in_the_table():
    assert len({(m.file, m.old, m.new) for m in MUTANTS}) == len(MUTANTS)
