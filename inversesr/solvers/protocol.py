"""What solvers and those who call them agree on."""

from collections.abc import Callable

# called with a phase, the steps done and their total
Progress = Callable[[str, int, int], None]
