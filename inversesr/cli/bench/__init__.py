"""The command `inversesr bench`."""
