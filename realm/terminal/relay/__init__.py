"""Carries bytes between a sandbox and the user's terminal; everything that touches that terminal."""
