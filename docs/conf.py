"""Sphinx configuration: `make docs` stages the pages in ``build/docs`` and builds ``site``."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
sys.path[:0] = [str(DOCS / "extensions"), str(ROOT)]

import staging  # noqa: E402

# Where pages and examples are built; the checkout itself stays as it is.
staging.stage(ROOT, ROOT / "build" / "docs")

project = "Free Energy"
author = "The Free Energy contributors"
project_copyright = f"2026, {author}"
version = release = "0.1.0"
language = "en"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "api_pages",
    "code_links",
    "mathml",
    "sources",
    "tour",
]
default_role = "py:obj"
nitpicky = False
exclude_patterns = ["examples"]

# Markdown
myst_enable_extensions = ["amsmath", "attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

# Docstrings
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
napoleon_custom_sections = ["Shapes", "Reference"]
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {
    "ArrayLike": "ArrayLike",
    "GeneratorLike": "inference.random.GeneratorLike",
    "Values": "inference.inputs.Values",
}
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autosummary_generate = False
python_use_unqualified_type_names = True
python_display_short_literal_types = True
maximum_signature_line_length = 72
toc_object_entries_show_parents = "hide"
add_module_names = False
strip_signature_backslash = True

# Gallery
sphinx_gallery_conf = {
    "examples_dirs": ["examples"],
    "gallery_dirs": ["gallery"],
    "filename_pattern": ".*",
    "within_subsection_order": "gallery.in_order",
    "subsection_order": "gallery.in_order",
    "image_scrapers": ("gallery.written_figure",),
    "reset_modules": (),
    "matplotlib_animations": False,
    "parallel": os.cpu_count() or 1,
    "backreferences_dir": "api/backreferences",
    "doc_module": ("energy", "generative", "inference", "pgm"),
    "notebook_extensions": set(),
    "download_all_examples": False,
    "show_signature": False,
    "show_memory": False,
    "min_reported_time": 1e9,
    "write_computation_times": False,
    "remove_config_comments": True,
    "thumbnail_size": (640, 360),
}

# Pages
html_theme = "pydata_sphinx_theme"
html_title = "Free Energy"
html_static_path = ["_static"]
html_css_files = ["style.css"]
html_logo = "_static/logo.svg"
html_favicon = "_static/icon.svg"
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_last_updated_fmt = None
pygments_style = "tango"
html_theme_options = {
    "logo": {"image_light": "_static/logo.svg", "image_dark": "_static/logo_dark.svg"},
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "navbar_end": ["theme-switcher"],
    "header_links_before_dropdown": 7,
    "show_nav_level": 1,
    "navigation_depth": 3,
    "collapse_navigation": True,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": [], "gallery/index": []},
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": False,
    "pygments_light_style": "tango",
    "pygments_dark_style": "github-dark",
}
html_sidebars = {"index": []}
html_context = {"default_mode": "auto"}
