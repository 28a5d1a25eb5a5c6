"""Virtual time, and what runs in it."""
