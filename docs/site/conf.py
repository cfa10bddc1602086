"""The documentation site: `make docs` builds it of the Markdown that stands in the repository, where it stands.

The source folder is the repository's, so that a link between two files is the same on the site and in the repository.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(ROOT)]

import reference  # noqa: E402

project = "gradient-oracle"
author = "The gradient-oracle authors"
project_copyright = f"2026, {author}"
version = release = reference.__version__

root_doc = "README"
include_patterns = [
    "README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/**.md",
    "reference/**README.md", "torch_compare/**README.md", "benchmarks/**README.md", "tests/README.md",
]  # fmt: skip
exclude_patterns = [".*", "docs/_build", "docs/site", "benchmarks/results", "**/__pycache__"]

extensions = [
    "myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon",
    "mathml", "files", "public_names", "tables",
]  # fmt: skip
myst_enable_extensions = ["dollarmath", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False
myst_dmath_double_inline = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_google_docstring, napoleon_numpy_docstring = True, False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_attr_annotations = False
maximum_signature_line_length = 80
add_module_names = False
python_use_unqualified_type_names = True

nitpicky = True
# Types of NumPy and of the standard library, and names that are no public ones, have no page here to link to.
nitpick_ignore_regex = [(r"py:.*", r".*")]

html_theme = "furo"
html_title = "gradient-oracle"
html_math_renderer = "mathml"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_show_search_summary = False  # it fetches pages, which no browser allows a site that is read from a folder
html_permalinks_icon = "#"
highlight_language = "none"
pygments_style, pygments_dark_style = "friendly", "monokai"
