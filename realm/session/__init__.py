"""The use-cases; the only room that joins store, sandbox and terminal."""
