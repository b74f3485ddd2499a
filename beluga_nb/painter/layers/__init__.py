"""Layers: a scene becomes marks, from the farthest to the nearest."""
