"""The report of a case: one HTML file with pictures, volumes, warnings and how the result was made."""

from KneeSegLib.report.html import write_report

__all__ = ["write_report"]
