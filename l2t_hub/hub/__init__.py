"""The client of a Hub: where it is, how to reach it, what to fetch from it, and how to retry."""
