import pytest

from tests.support.lowest import lowest, requirements


@pytest.mark.parametrize(
    ("requirement", "pin"),
    [
        ("torch>=2.6", "torch==2.6"),
        ("mkdocstrings[python]>=1.0", "mkdocstrings==1.0"),
        ("monai-generative==0.2.3", "monai-generative==0.2.3"),
        ("pydantic>=2.7,<3", "pydantic==2.7"),
        ("types-psutil", None),
    ],
)
def test_the_pin_of_a_requirement_is_its_lower_bound(requirement, pin):
    assert lowest(requirement) == pin


def test_every_dependency_of_the_package_has_a_lower_bound():
    assert [r for r in requirements() if lowest(r) is None] == []
