"""OKX v5: a client of its REST and WebSocket API with what builds on it, and an exchange server that speaks it."""
