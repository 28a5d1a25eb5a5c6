"""The store: one SQLite file behind `kokex.ports.Store`."""
