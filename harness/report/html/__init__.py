"""The report as one HTML file: of a whole run, or of a single violation."""

from harness.report.html.page import MOST_BYTES, run_page, violation_page

__all__ = ["MOST_BYTES", "run_page", "violation_page"]
