"""The report of a pipeline run: a Markdown file, and one self-contained HTML page with the plots in it."""

from l2t_hub.report.render import ReleaseReport, write_run_report

__all__ = ["ReleaseReport", "write_run_report"]
