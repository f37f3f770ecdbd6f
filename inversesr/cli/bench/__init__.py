"""The commands `inversesr bench ...`, one file each."""
