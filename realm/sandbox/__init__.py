"""The container; the only room that knows Docker."""
