"""Colours of all pictures: ink on paper, blue for what is, amber for what stands out."""

from __future__ import annotations

__all__ = ["AMBER", "AXIS", "BLUE", "GREEN", "INK", "MUTED", "PAPER", "SERIES", "TRACK"]

INK, MUTED, AXIS, TRACK = "#1f2933", "#66727f", "#8794a3", "#e3e8ee"
BLUE, AMBER, GREEN, PAPER = "#4a7ab0", "#e0962e", "#3f8f63", "#f4f7fb"

#: Colours of things of one kind, in their order.
SERIES = (BLUE, AMBER, GREEN, "#c04a3c", "#7c5fa8", "#2f9ca3", "#c2699a", "#8c6a45")
