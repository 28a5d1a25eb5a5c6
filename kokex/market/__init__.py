"""Pure rules of the market: candles, instruments, indicators, positions. No I/O, no clock, no await."""
