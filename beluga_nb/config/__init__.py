"""What a session goes by: settings, where each comes from, and keys."""
