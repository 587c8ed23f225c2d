"""The `l2t` command: parse arguments, call one function, print the result. Nothing imports this room."""
