"""Commands outside a notebook, and what each command does."""
