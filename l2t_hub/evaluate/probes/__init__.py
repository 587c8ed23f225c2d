"""The bundled minimal pairs and their lm-evaluation-harness tasks. README.md describes them."""
