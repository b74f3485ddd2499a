"""One object of settings, keys, stores and budgets, and the verbs of the kit."""
