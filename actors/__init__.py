"""The eleven actors, one file each."""
