"""The user's terminal; the only room that knows termios and pyte."""
