"""What tests put into a queue, and ask of it."""

from inversesr.node.arrivals import Arrival, Receiving, add, complete, receiving
from inversesr.node.works import take


def arrive(database, series="s", uids="abc", **facts):
    """Note instances, one for each letter."""
    for uid in uids:
        add(database, Arrival(series, uid, f"digest of {uid}", "1.2", **facts))


def finish(database, series="s"):
    """Declare a series complete; return its state."""
    (one,) = [found for found in receiving(database) if found.key == series]
    return complete(database, one)


def taken(database, series="s", uids="abc"):
    """Note a series and take it for work."""
    arrive(database, series, uids)
    finish(database, series)
    return take(database)


def state(database, series="s"):
    """Return the row of a series."""
    return dict(database.rows("SELECT * FROM series WHERE key = ?", (series,))[0])


__all__ = ["Receiving", "arrive", "finish", "state", "taken"]
