"""Series of volumes: thinner slices, all of one time, and finer steps in time."""
