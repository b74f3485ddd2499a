"""Which cases of a large generated family are tried: some in every check, all by `python -m tests whole`.

The choice is the same in each run and on each machine, so that a case that fails fails again.
"""

import os
import random

WHOLE = "TESTS_WHOLE" in os.environ

FEW = 3 if "TESTS_ENVIRONMENT" in os.environ else 4
"""How many cases of a test function every check tries, where no mark says another number.

With other versions of libraries, in `tests/environments`, a few show whether they work at all.
"""


def some(cases, count):
    """Return `count` of the cases, spread over all of them; all where the whole family is asked for."""
    cases = list(cases)
    if WHOLE or len(cases) <= count:
        return cases
    return [cases[place * len(cases) // count] for place in range(count)]


def rounds(count, whole):
    """Return how often something random is repeated: `count` times, `whole` times where all is asked for."""
    return whole if WHOLE else count


def of_each(**family):
    """Make one test of a function of a case, where a test of each would take longer than all cases.

    It tries every case of the family, such as `module=MODULES`, and names each that fails.
    """
    [(name, cases)] = family.items()

    def decorated(test):
        def test_of_each():
            failed = []
            for case in cases:
                try:
                    test(**{name: case})
                except Exception as error:
                    error.add_note(f"{name}: {case}")
                    failed.append(error)
            if failed:
                raise ExceptionGroup(f"{len(failed)} of {len(cases)}", failed)

        test_of_each.__name__, test_of_each.__doc__ = test.__name__, test.__doc__
        return test_of_each

    return decorated


def chosen(items):
    """Return the tests of a run without those that only the whole check tries, and the others."""
    if WHOLE:
        return items, []
    left = {id(item) for item in items if item.get_closest_marker("whole")}
    families = {}
    for item in items:
        if hasattr(item, "callspec") and id(item) not in left and not item.get_closest_marker("unsampled"):
            mark = item.get_closest_marker("sampled")
            count = mark.args[0] if mark else FEW
            families.setdefault((item.nodeid.partition("[")[0], count), []).append(item)
    for (name, count), family in families.items():
        if len(family) > count:
            left |= {id(item) for item in family} - {id(item) for item in spread(family, count, name)}
    return [item for item in items if id(item) not in left], [item for item in items if id(item) in left]


def spread(family, count, name):
    """Choose cases of a family: next always the one with the most values that no case before it has."""
    left = random.Random(name).sample(family, len(family))
    seen, found = set(), []
    while left and len(found) < count:
        best = max(left, key=lambda item: len(values_of(item) - seen))
        left.remove(best)
        found.append(best)
        seen |= values_of(best)
    return found


def values_of(item):
    """The parameters of a test, each by its name and the object: cases of a family share the objects."""
    return {(name, id(value)) for name, value in item.callspec.params.items()}
