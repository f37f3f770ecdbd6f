"""UIDs that follow from what they name: the same run gives the same ones, on any machine.

Reference: DICOM PS3.5 2024, B.2 (UUID derived UIDs); RFC 9562, 5.8 (UUIDs of one's own making).
"""

import hashlib
import json
from typing import Any

from inversesr.io.json_text import json_text

ROOT = "2.25"
# where in the number, how many bits, and what: version 8, variant of the RFC
VERSION, VARIANT = (76, 4, 8), (62, 2, 2)


def derived_uid(*facts: Any) -> str:  # noqa: ANN401 (plain data)
    """Return a UID that depends on facts alone.

    Args:
        *facts: Plain data; the order of the keys of a dictionary does not count.
    """
    told = json.dumps(json.loads(json_text(list(facts))), sort_keys=True)
    number = int.from_bytes(hashlib.sha256(told.encode()).digest()[:16], "big")
    for at, n_bits, value in (VERSION, VARIANT):
        number = number & ~(((1 << n_bits) - 1) << at) | value << at
    return f"{ROOT}.{number}"
