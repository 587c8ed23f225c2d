"""Scores models: lm-evaluation-harness runs, the bundled probe suite, comparisons with confidence intervals."""
