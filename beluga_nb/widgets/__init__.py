"""What one works with in a browser: the panel, in three rooms, and the booth for blind votes.

`state` is what is so, `controller` what happens, `view` what is seen.
"""
