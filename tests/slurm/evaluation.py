"""What evaluates the trials of the tests: ten times what is in the checkpoint."""

import pathlib
import sys

from sweeptui import reporting

reporting.report(score=10 * int(pathlib.Path(sys.argv[1]).read_text()))
