"""Many workers of Dask in one process: `python -m inversesr.benchmarks.many_workers ADDRESS N`."""

import asyncio
import sys
from pathlib import Path

# What each worker does all the time to watch itself: on one machine it would be all that is done.
QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "60s",
    "distributed.admin.tick.interval": "10s",
    "distributed.admin.tick.limit": "1h",
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
}


async def work_for(address: str, n_workers: int) -> None:
    """Be n workers of one thread each, until they are told to end.

    Args:
        address: Of the scheduler.
        n_workers: How many.
    """
    import dask
    import distributed

    with dask.config.set(QUIET):
        workers = [
            distributed.Worker(
                address, nthreads=1, memory_limit=0, local_directory=str(Path.cwd())
            )
            for _ in range(n_workers)
        ]
        await asyncio.gather(*workers)
        await asyncio.gather(*(worker.finished() for worker in workers))


if __name__ == "__main__":
    asyncio.run(work_for(sys.argv[1], int(sys.argv[2])))
