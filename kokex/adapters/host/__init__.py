"""The machine the daemon runs on: clock, ids, chance, locks, candle files."""
