"""Where text comes from and how it becomes blocks: sources, sentence splitting, the bundled sample."""
