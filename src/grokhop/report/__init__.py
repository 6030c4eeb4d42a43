"""The report: one HTML file that says whether a run grokked, on what graph, and with what evidence.

It is made from the files of the run folder alone, needs no torch, and fetches nothing when it is opened: Plotly's
JavaScript is inside, once. Headings are findings, computed from the numbers; what has not been measured yet is
named with the command that measures it. Labels are data: the template escapes them, `plot.safe` does for Plotly.

`page` fills the template; each of its sections is a file here, which makes the heading, the tables and the figure.
"""

from grokhop.report.page import report

__all__ = ["report"]
