"""Letta, a server that remembers: an optional second memory."""
