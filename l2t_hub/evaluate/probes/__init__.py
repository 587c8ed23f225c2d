"""The bundled minimal pairs and their lm-evaluation-harness tasks; README.md says what they hold."""
