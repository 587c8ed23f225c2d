"""The source text: local files and Hub datasets, sentence splitting, blocks, MinHash, and the bundled sample."""
