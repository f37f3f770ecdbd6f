"""Many workers of Dask in one process: `python -m inversesr.benchmarks.many_workers ADDRESS N`."""

import asyncio
import sys
from pathlib import Path


async def work_for(address: str, n_workers: int) -> None:
    """Be n workers of one thread each, until they are told to end.

    Args:
        address: Of the scheduler.
        n_workers: How many.
    """
    import dask
    import distributed

    quiet = {"distributed.worker.memory.target": False, "distributed.worker.memory.spill": False}
    with dask.config.set(quiet):
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
