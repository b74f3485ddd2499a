"""Settings, where each comes from, and keys."""
