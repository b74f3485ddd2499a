"""The built-in painter: prompt -> reading -> scene -> layers -> look. No model, no network."""

from beluga_nb.painter.painting import VERSION, Painting, paint
from beluga_nb.painter.scene import Scene
from beluga_nb.painter.sizes import choose_size

__all__ = ["VERSION", "Painting", "Scene", "choose_size", "paint"]
