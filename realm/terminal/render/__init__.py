"""Renders screens as text, as bytes that draw them, as pictures and as pages."""
