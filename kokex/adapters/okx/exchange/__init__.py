"""The paper exchange behind an OKX-v5-compatible door: REST and WebSocket over `kokex.paper`."""
