"""Pure rules of deciding."""
