"""Bytes between a sandbox and the user's terminal, and everything that touches that terminal."""
