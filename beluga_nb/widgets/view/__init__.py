"""The panel's widgets, linked to its state; no decisions here, and no HTML from outside text."""
