"""Offline: what a finished run was worth, in numbers and pictures."""
