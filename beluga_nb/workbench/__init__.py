"""What one works with in a browser: widgets, and what they do."""
