"""Recordings of a program's output: raw while it runs, an asciicast afterwards, replayed on demand."""
