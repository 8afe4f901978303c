"""What a program wrote, kept on disk: raw while it runs, an asciicast afterwards, replayed on demand."""
