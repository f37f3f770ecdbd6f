"""The command line: parses arguments and prints, and nothing else."""
