"""Prompts × models × sizes."""
