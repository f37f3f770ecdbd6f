"""Waiting longer after each failure, by a clock that does not jump."""

import threading
import time
from collections.abc import Callable, Hashable

FIRST_S, MOST_S = 1.0, 600.0


class BackOff:
    """Who has to wait how long: twice as long after each failure, up to a limit."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        first_s: float = FIRST_S,
        most_s: float = MOST_S,
    ) -> None:
        self._clock, self._first_s, self._most_s = clock, first_s, most_s
        # who -> until when, and the wait that led there
        self._waits: dict[Hashable, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def failed(self, who: Hashable) -> float:
        """Note a failure, and return the seconds to wait."""
        with self._lock:
            _, last = self._waits.get(who, (0.0, 0.0))
            wait = min(max(2.0 * last, self._first_s), self._most_s)
            self._waits[who] = (self._clock() + wait, wait)
            return wait

    def succeeded(self, who: Hashable) -> None:
        """Forget the failures of one."""
        with self._lock:
            self._waits.pop(who, None)

    def waiting(self) -> set[Hashable]:
        """Return who has to wait now."""
        with self._lock:
            now = self._clock()
            return {who for who, (until, _) in self._waits.items() if until > now}
