"""Who may send, and where results go: titles and addresses are read exactly."""

import pytest

from inversesr.errors import InputError
from inversesr.node.peers import Destination, read_caller, read_destination


@pytest.mark.parametrize(
    ("told", "title", "address", "is_it"),
    [
        ("PACS1", "PACS1", "10.1.2.3", True),
        ("PACS1", "pacs1", "10.1.2.3", False),
        ("PACS1", "PACS", "10.1.2.3", False),
        ("PACS1", "", "10.1.2.3", False),
        ("PACS1@10.1.2.3", "PACS1", "10.1.2.3", True),
        ("PACS1@10.1.2.3", "PACS1", "10.1.2.4", False),
        ("PACS1@10.1.2.3", "PACS1", "::ffff:10.1.2.3", True),
        ("PACS1@10.1.2.0/24", "PACS1", "10.1.2.200", True),
        ("PACS1@10.1.2.0/24", "PACS1", "10.1.3.1", False),
        ("PACS1@::1", "PACS1", "::1", True),
        ("A@B@127.0.0.1", "A@B", "127.0.0.1", True),
    ],
)
def test_a_caller_is_known_by_title_and_address(told, title, address, is_it):
    assert read_caller(told).is_it(title, address) is is_it


@pytest.mark.parametrize(
    "told", ["", "@10.1.2.3", "PACS@", "PACS@here", "SEVENTEEN-LETTERS", "A\\B", " A", "A\n"]
)
def test_what_is_no_caller_is_refused(told):
    with pytest.raises(InputError, match="--allow"):
        read_caller(told)


def test_a_destination_is_read():
    assert read_destination("PACS@10.1.2.3:104") == Destination("PACS", "10.1.2.3", 104)
    assert read_destination("MY PACS@archive.local:11112").host == "archive.local"
    assert read_destination("PACS@[::1]:104").host == "::1"
    assert str(read_destination("PACS@[::1]:104")) == "PACS@::1:104"


@pytest.mark.parametrize(
    "told", ["", "PACS", "PACS@host", "PACS@host:", "PACS@host:0", "PACS@host:70000", "PACS@:104",
             "@host:104", "PACS@host:1e3", "PACS@host:²"]
)  # fmt: skip
def test_what_is_no_destination_is_refused(told):
    with pytest.raises(InputError, match="--forward"):
        read_destination(told)
