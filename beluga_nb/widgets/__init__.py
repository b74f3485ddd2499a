"""Widgets: the panel, as state, controller and view, and the booth for blind votes."""
