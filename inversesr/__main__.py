"""`python -m inversesr` is the command line."""

from inversesr.cli.app import main

main()
