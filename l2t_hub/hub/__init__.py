"""The client of a Hub: which one to use, how to connect, download and retry."""
