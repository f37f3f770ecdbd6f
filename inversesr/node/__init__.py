"""A DICOM node: series come in from an archive or a scanner, their thin slices go back."""
