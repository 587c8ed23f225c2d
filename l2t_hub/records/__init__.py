"""The records of a release: one checked path type, one JSON reader, one schema each, and one comparison of files.

A record may come from a stranger. Nothing in it is trusted before it has passed the schema of this room.
"""
