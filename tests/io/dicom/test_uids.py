import uuid

from pydicom.uid import UID

from inversesr.io.dicom.uids import derived_uid


def test_the_same_facts_give_the_same_uid_in_any_order_of_keys():
    assert derived_uid("a", {"x": 1, "y": [2.5]}) == derived_uid("a", {"y": [2.5], "x": 1})


def test_other_facts_give_another_uid():
    found = {
        derived_uid(*f) for f in [("a",), ("b",), ("a", 1), ("a", 2), (["a", 1],), ({"a": 1},)]
    }
    assert len(found) == 6


def test_a_uid_is_valid_and_that_of_a_uuid_of_ones_own_making():
    for n in range(200):
        uid = UID(derived_uid(n))
        assert uid.is_valid
        assert len(uid) <= 64
        made = uuid.UUID(int=int(uid.rpartition(".")[2]))
        assert (made.version, made.variant) == (8, uuid.RFC_4122)
