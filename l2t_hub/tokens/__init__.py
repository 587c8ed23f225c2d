"""Text to token ids (`encode.py`, fast and exact) and token ids to training sequences (`pack.py`)."""
