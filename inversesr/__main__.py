"""`python -m inversesr` is the command line."""

from inversesr.cli import main

main()
