"""In the place of a package that takes a second to import, for each of some forty processes of the checks.

JupyterLab, nbconvert and all else that reads notebooks import jsonschema, which imports it where it is there:
to check the syntax of addresses in other languages, which nobody asks for here.
"""

raise ImportError("The checks do without it.")
