"""What a call or a grid would send, as a table and as text."""

from __future__ import annotations

from beluga_nb.compare.plan import Plan
from beluga_nb.result import Bundle
from beluga_nb.show.markup import outside
from beluga_nb.show.tables import facts, sentence
from beluga_nb.text import plural

_LONGEST = 4000
_SENT = "white-space:pre-wrap;overflow-wrap:anywhere;margin:.4em 0;font-size:90%"


def plan_bundle(plan: Plan) -> Bundle:
    """Return how many pictures would be made, what they cost, and the requests word for word."""
    if not any(plan.counts.values()):
        return sentence(str(plan))
    sent = plan.sent()
    summary = f"<summary>{outside(plural(len(plan.posts), 'request'))}, word for word</summary>"
    requests = "".join(f'<pre style="{_SENT}">{outside(each, _LONGEST)}</pre>' for each in sent)
    details = f"<details>{summary}{requests}</details>" if sent else ""
    counts = {name: f"{count:,}" for name, count in plan.counts.items()}
    shown = facts({**counts, "cost": plan.price}, "Dry run, nothing was sent")
    return {"text/html": shown["text/html"] + details, "text/plain": str(plan)}
