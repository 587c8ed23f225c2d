"""The `l2t` command. Each verb parses its arguments, calls one function and prints the result."""
