"""Choices of a node are checked when they are made."""

import pytest

from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.node.settings import ListenConfig, check_choices

FULL = {"allow": ("PACS",), "forward": "PACS@host:104"}


def test_a_node_with_callers_and_a_destination_can_work():
    check_choices(ListenConfig(**FULL), Config())


@pytest.mark.parametrize(
    ("choices", "told"),
    [
        ({"port": 0}, "port"),
        ({"quiet_s": 0.0}, "quiet"),
        ({"quiet_s": float("nan")}, "quiet"),
        ({"tries": 0}, "tries"),
        ({"reserve_gib": -1.0}, "reserve"),
        ({"aet": ""}, "--aet"),
        ({"allow": ("A\\B",)}, "--allow"),
        ({"forward": "nowhere"}, "--forward"),
        ({"tls_cert": "a.pem"}, "--tls-key"),
        ({"forward_tls": True}, "--tls-ca"),
    ],
)
def test_a_wrong_choice_is_refused_at_once(choices, told):
    with pytest.raises(InputError, match=told):
        ListenConfig(**FULL | choices)


@pytest.mark.parametrize("missing", ["allow", "forward"])
def test_a_node_that_nobody_may_use_is_refused(missing):
    given = {name: value for name, value in FULL.items() if name != missing}
    with pytest.raises(InputError, match=f"--{missing}"):
        check_choices(ListenConfig(**given), Config())


@pytest.mark.parametrize(
    "choice",
    [
        {"series": "4"},
        {"volume": 0},
        {"voxel_size": "1,1,5"},
        {"protect": "a.nii"},
        {"missing": "3"},
    ],
)
def test_choices_for_one_scan_are_refused(choice):
    with pytest.raises(InputError, match="meant for one scan"):
        check_choices(ListenConfig(**FULL), Config(**choice))
