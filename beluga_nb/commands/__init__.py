"""Every command and option, declared once, and what is made of that."""
