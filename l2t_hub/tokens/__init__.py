"""Text to token ids (`encode`) and token ids to training sequences (`pack`). `load` reads tokenizers."""
