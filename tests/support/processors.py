"""How many threads a process of the tests takes: one where the processes fill the cores."""

import os

# read when numpy, torch and ITK are loaded, and inherited by processes that tests start
NAMES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)


def share_cores(environment, n_cores):
    """Let each process of pytest-xdist take one thread, unless that leaves half the cores idle.

    Args:
        environment: Environment variables, changed in place; what is set already stays.
        n_cores: Cores of the machine.
    """
    n_processes = int(environment.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if n_processes > 1 and 2 * n_processes > n_cores:
        for name in NAMES:
            environment.setdefault(name, "1")


share_cores(os.environ, os.cpu_count() or 1)
