"""DICOM in and out: find, read, judge and choose series, convert one, write a derived one."""
