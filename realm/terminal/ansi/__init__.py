"""Control sequences: the lexer, the terminal's modes, and colours."""
