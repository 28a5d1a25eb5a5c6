"""KOKEX: a headless trading daemon. Start reading at `kokex/topology.py`."""

__version__ = "0.1.0"
