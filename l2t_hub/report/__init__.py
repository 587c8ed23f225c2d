"""The report of a run: Markdown, and one self-contained HTML page with the pictures in it."""

from l2t_hub.report.render import ReleaseReport, write_run_report

__all__ = ["ReleaseReport", "write_run_report"]
