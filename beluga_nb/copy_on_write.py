"""Images that share the pixels of another one until they are changed.

Imported where a picture is opened, since it loads Pillow.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from PIL import Image

if TYPE_CHECKING:
    from PIL._imaging import PixelAccess


class SharedImage(Image.Image):
    """An image with the pixels of another one; before it is changed, it gets pixels of its own.

    Pillow itself copies the pixels of an image that is `readonly` before it draws on it. The methods here do
    so where Pillow would change the pixels at once. To all who ask, this is a `PIL.Image.Image`.
    """

    @classmethod
    def of(cls, image: Image.Image) -> SharedImage:
        """Return an image with the pixels, the palette and the format of a loaded image."""
        shared = cls()
        shared.__dict__.update(image._new(image.im).__dict__)
        shared.readonly, shared.format = 1, image.format
        if image.palette:  # Pillow changes a palette where it only reads.
            shared._unshare()
        return shared

    @property  # type: ignore[misc]
    def __class__(self) -> type[Image.Image]:  # type: ignore[override]  # Pillow compares and shows it.
        return Image.Image

    def __reduce__(self) -> tuple[Any, ...]:
        return Image.Image, (), self.__getstate__()

    def load(self) -> PixelAccess | None:
        """Return the pixels, the first change of which copies them."""
        if self.palette and self.palette.dirty:  # Pillow puts it into the pixels now.
            self._unshare()
        return _Pixels(self) if self.readonly else Image.Image.load(self)  # type: ignore[return-value]

    def getim(self) -> Any:
        """Return a capsule for code in C, which may change the pixels."""
        self._unshare()
        return Image.Image.getim(self)

    def frombytes(self, *args: Any, **kwargs: Any) -> None:
        """Replace all pixels."""
        self._unshare()
        Image.Image.frombytes(self, *args, **kwargs)

    def _unshare(self) -> None:
        if self.readonly:
            self.im, self.readonly = self.im.copy(), 0


class _Pixels:
    """The pixels of a shared image, as Pillow's `PixelAccess`."""

    def __init__(self, image: SharedImage) -> None:
        self._image = image
        self._core: object = None

    def __getitem__(self, place: Any) -> Any:
        if self._image.im is not self._core:
            self._open()
        return self._access[place]

    def __setitem__(self, place: Any, color: Any) -> None:
        self._image._unshare()
        if self._image.im is not self._core:
            self._open()
        self._access[place] = color

    def _open(self) -> None:
        self._core, self._access = self._image.im, self._image.im.pixel_access(0)
