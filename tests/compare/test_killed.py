"""A grid whose process is killed again and again: what it has is kept, and nothing is bought twice."""

import asyncio
import random
import subprocess
import sys
import threading
from collections import Counter, defaultdict

from conftest import CALL_ID, KEY, drawing, on_a_port, with_call_ids
from kernels import clean_environment
from sampling import rounds

from beluga_nb.compare.grid import STATES
from beluga_nb.server.app import create_app
from beluga_nb.session.session import Session
from beluga_nb.store import pending
from beluga_nb.store.format import RECORDS
from beluga_nb.store.records import Store

KILLS = rounds(5, 10)
AT_ONCE = 4

ANIMALS = ["cat", "fox", "owl", "hen", "dog", "cow", "elk", "bat", "bee", "ant", "eel", "cod"]
CELLS = 72

RUN = f"""
from beluga_nb.session.session import Session
session = Session(max_in_flight=4)
grid = session.grid(
    "a {{{{animal}}}}, {{{{style}}}}",
    animal={ANIMALS},
    style=["oil", "ink", "chalk"],
    model=["flux-2.0", "gpt-image-2"],
)
grid.run(assume_yes=True)
print(grid.counts["done"])
"""


class Murderous:
    """An engine that notes under which ids it is asked for what, and at a random moment kills who asks."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.asked = defaultdict(set)
        self.calls = self.on_their_way = self.most_on_their_way = 0
        self.arm(None)

    def arm(self, victim):
        self.victim, self.left = victim, self.random.randint(1, 3)
        self.struck = threading.Event()

    async def __call__(self, request):
        self.asked[request.prompt, request.model, request.sample].add(CALL_ID.get())
        self.calls += 1
        self.left -= 1
        if self.left == 0 and self.victim:
            asyncio.get_running_loop().call_later(self.random.uniform(0, 0.06), self.strike)
        self.on_their_way += 1
        self.most_on_their_way = max(self.on_their_way, self.most_on_their_way)
        try:
            await asyncio.sleep(self.random.uniform(0, 0.04))
            return await drawing(request)
        finally:
            self.on_their_way -= 1

    @property
    def bought(self):
        """How often each cell was billed."""
        return Counter({cell: len(ids) for cell, ids in self.asked.items()})

    def strike(self):
        self.victim.kill()
        self.struck.set()


def unanswered(store):
    """The calls of which nothing has arrived: the others were being recorded, when the next had begun."""
    return [call for call in pending.calls(store) if not pending.answers(store, call.run)]


def test_a_grid_that_is_killed_again_and_again_buys_its_cells_and_what_was_on_its_way(tmp_path):
    engine = Murderous(seed=8)
    store = Store(tmp_path / "beluga_store")
    with on_a_port(with_call_ids(create_app(engine, key=KEY))) as base_url:
        environment = clean_environment(BELUGA_API_KEY=KEY, BELUGA_BASE_URL=base_url)
        for kill in range(1, KILLS + 1):
            before = len(unanswered(store))
            child = subprocess.Popen([sys.executable, "-c", RUN], cwd=tmp_path, env=environment)
            engine.arm(child)
            assert engine.struck.wait(60)
            assert child.wait(60) == -9, "it came to its end before it was killed"
            lost = len(unanswered(store)) - before
            assert engine.most_on_their_way <= AT_ONCE
            assert lost <= AT_ONCE
            recorded = len(list(RECORDS.values(store)))
            assert recorded + len(pending.calls(store)) >= engine.bought.total(), kill
        done = subprocess.run(
            [sys.executable, "-c", RUN], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert done.stdout == f"{CELLS}\n", done.stderr
        calls = Counter(
            (call.request.prompt, call.request.model, call.request.sample) for call in pending.calls(store)
        )
        # Written down before it is sent: one that was killed between the two is in the journal alone.
        on_their_way = Counter({cell: count - 1 for cell, count in engine.bought.items()})
        assert on_their_way <= calls
        # Each was asked for again under its own id, unless that had brought something of no use.
        assert on_their_way.total() < engine.calls - CELLS <= KILLS * AT_ONCE
        total = engine.calls
        session = Session(environ={"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}, folder=tmp_path)
        grid = session.grid(
            "a {{animal}}, {{style}}",
            animal=["cat", "fox", "owl", "hen", "dog", "cow", "elk", "bat", "bee", "ant", "eel", "cod"],
            style=["oil", "ink", "chalk"],
            model=["flux-2.0", "gpt-image-2"],
        ).run()
        assert engine.calls == total, "a third run asks nobody"
        assert grid.counts == dict.fromkeys(STATES, 0) | {"done": CELLS}
