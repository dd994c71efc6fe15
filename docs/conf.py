"""The docs site: `make docs`. Its commands and settings are read from the code."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

project = "sweeptui"
author = "the sweeptui authors"
release = version = version_of("sweeptui")

sys.path.insert(0, str(Path(__file__).parent / "extensions"))
extensions = ["myst_parser", "sphinx_click", "settings"]
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
exclude_patterns = ["_build"]

html_theme = "furo"
html_title = f"sweeptui {release}"
html_static_path: list[str] = []
templates_path: list[str] = []
