"""Strategies, one file each: adding a file here is all it takes (docs/strategies.md)."""
