"""The local control socket: how `kokex status`, `kokex buy` and the others reach the running daemon."""
