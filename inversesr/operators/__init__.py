"""Linear operators: slices, resampling, and what they are composed of."""
