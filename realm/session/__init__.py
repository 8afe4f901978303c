"""The use-cases; the only room that joins store, box and terminal."""
