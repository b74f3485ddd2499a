"""What a saved file says of itself: one XMP packet in a PNG, JPEG or WebP, or in a file beside it."""
