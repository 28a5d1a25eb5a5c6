"""Training: a tokenizer first, then a predictor on its tokens. Runs in a process of its own, never the daemon's."""
