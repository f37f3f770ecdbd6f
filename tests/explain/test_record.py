import json

from inversesr.explain.numbers import UNITS
from inversesr.explain.record import as_record
from inversesr.io.json_text import json_text


def test_the_record_is_plain_data_with_every_number_of_every_direction(found):
    record = json.loads(json_text(as_record(found)))
    assert [d["name"] for d in record["directions"]] == ["direction 1", "direction 2"]
    for told in record["directions"]:
        assert set(told["numbers"]) == set(UNITS)
        assert 0.0 <= told["share_of_variance"] <= 1.0
    assert record["box_mm"] == [16.0, 16.0, 16.0]
    assert record["is_whole_brain"] is False
    assert record["n_samples"] == 3
    for name, told in record["numbers"].items():
        assert told["image"] == found.directions[0].effects[name].mean
