"""Reading and writing of k-space: one file a format, one table of them."""
