"""The panel's widgets, linked to its state; no decisions here, and and outside text only escaped."""
