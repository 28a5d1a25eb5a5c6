"""Actors, wires, supervision and the drivers. Knows nothing of trading."""
