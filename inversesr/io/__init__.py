"""File formats: reading, checking and writing."""
