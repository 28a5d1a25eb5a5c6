"""Secrets: where they come from, and how they are kept from being seen."""
