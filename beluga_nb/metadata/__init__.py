"""Metadata of a saved picture: one XMP packet inside a PNG, JPEG or WebP, or in a sidecar file."""
