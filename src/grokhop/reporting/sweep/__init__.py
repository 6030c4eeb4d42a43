"""The report on a sweep: how accuracy and the grokking times depend on phi.

Made as that of a run is: from the files of the sweep folder alone, and without torch.
"""

from grokhop.reporting.sweep.page import report

__all__ = ["report"]
