"""A URL becomes an engine."""
