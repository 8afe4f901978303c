"""What a terminal would show of a program's output: pyte's screen behind realm's own lexer."""
