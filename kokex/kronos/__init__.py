"""Kronos: a forecaster that reads candles as a language. The only room that imports torch.

A tokenizer turns each candle into a coarse and a fine token (binary spherical quantisation); a causal transformer
predicts the next pair; many sampled paths are a distribution. Reads the published checkpoints, and follows them to
the last quirk (Shi et al. 2025, arXiv 2508.02739).

`import kokex.kronos` imports no torch; its parts do.
"""
