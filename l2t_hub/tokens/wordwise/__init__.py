"""The exact fast path of encoding: words are cut, looked up once, and joined again."""
