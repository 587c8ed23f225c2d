"""The report of a pipeline run: a Markdown file, and one self-contained HTML page with the plots in it."""

from l2t_hub.report.experiment_record import write_record
from l2t_hub.report.render import write_run_report
from l2t_hub.report.run_results import ReleaseReport, RunReport

__all__ = ["ReleaseReport", "RunReport", "write_record", "write_run_report"]
