"""Floods: everything a peer can send too much of, what it costs in memory, and what others notice of it."""
