"""OKX v5, as a client: REST, WebSockets, market data, and what builds on them."""
