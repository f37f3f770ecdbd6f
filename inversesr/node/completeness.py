"""Decides when a series is complete: nobody says so in DICOM.

Time is told by a clock that does not jump; a node that starts lets every series be quiet anew.
"""

import threading
import time
from collections.abc import Callable, Collection

from inversesr.node.arrivals import Receiving

# As many as were announced, and nothing for a moment: some headers count wrongly.
SETTLE_S = 1.0
# More were announced than came: such a series is waited for this many times longer.
PATIENCE = 10.0
# Instances that come again are of series that may be complete.
LONG_S = 3600.0


def why_complete(series: Receiving, still_s: float, quiet_s: float) -> str:
    """Return why a series is complete, or nothing where it is not.

    Args:
        series: The series.
        still_s: Seconds since its last instance.
        quiet_s: Seconds after which a series is complete.
    """
    announced = (series.expected, series.hinted)
    if series.n in announced and still_s >= min(SETTLE_S, quiet_s):
        return "as many as announced"
    if series.expected > series.n:
        wait = PATIENCE * quiet_s
        return f"{series.n} of {series.expected} after {wait:g} s" if still_s >= wait else ""
    return f"nothing more for {quiet_s:g} s" if still_s >= quiet_s else ""


class Stillness:
    """How long each series has been quiet."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._last: dict[str, float] = {}
        self._lock = threading.Lock()

    def heard(self, key: str) -> None:
        """Note that an instance of a series came now."""
        with self._lock:
            self._last[key] = self._clock()

    def seconds(self, key: str) -> float:
        """Return the seconds since the last instance of a series, or since the node began."""
        with self._lock:
            return self._clock() - self._last.get(key, self._start)

    def forget(self, key: str) -> None:
        """Forget a series that is complete."""
        with self._lock:
            self._last.pop(key, None)

    def forget_others(self, keys: Collection[str]) -> None:
        """Forget what is not being received, and has not been heard of for long."""
        with self._lock:
            now = self._clock()
            self._last = {
                key: at for key, at in self._last.items() if key in keys or now - at < LONG_S
            }
