"""Control sequences: what they are, which modes they switch, what they do to text."""
