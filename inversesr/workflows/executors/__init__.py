"""Where the scans of a batch are restored: on this machine, or on others."""
