"""The only importers of network and disk libraries; each directory speaks to one part of the world."""
