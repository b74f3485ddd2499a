"""Nothing that was paid for is lost."""
