"""Engines made of engines: they change when and how often the inner one is asked, never the answer."""
