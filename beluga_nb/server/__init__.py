"""An engine becomes a URL: the embedded BelugAPI."""
