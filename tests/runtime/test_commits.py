"""Nothing is announced before it is on disk."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from fairlead.model.config import Config
from fairlead.model.ledger import Ledger
from fairlead.runtime.backoff import Backoff
from fairlead.runtime.commits import Commits
from fairlead.runtime.health import DriverHealth
from fairlead.runtime.pipeline import Pipeline, Step
from fairlead.runtime.store import LedgerStore

from .engine import until
from .objects import added, deleted, pool, service
from .test_store import disk_full


class Scene:
    """Commits on a real file; what was passed on and what was told."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.store = LedgerStore.open(directory)
        self.done: list[Step] = []
        self.told: list[DriverHealth] = []
        self.pipeline = Pipeline(Config(), "here", Ledger())
        self.commits = Commits(
            self.store,
            Ledger(),
            done=self.done.append,
            health=self.told.append,
            backoff=Backoff(first=0.01, longest=0.02),
        )

    def durable(self) -> bool:
        """Whether what was passed on is exactly what a reader finds."""
        return LedgerStore.read(self.directory).holders == self.done[-1].plan.ledger.holders


@asynccontextmanager
async def running(directory: Path) -> AsyncIterator[Scene]:
    scene = Scene(directory)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(scene.commits.run())
        try:
            yield scene
        finally:
            scene.commits.stop()
    scene.store.close()


def test_a_step_is_passed_on_when_it_can_be_read_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as scene:
            for number in range(5):
                scene.commits.offer(scene.pipeline.feed(added(pool(), service(f"s{number}"))))
                await until(_count(scene, number + 1))
                assert scene.durable()
                assert len(scene.done[-1].plan.ledger.holders) == number + 1
        assert [(one.ok, one.name) for one in scene.told] == [(True, "ledger")]

    asyncio.run(scenario())


def test_while_the_disk_is_full_nothing_is_passed_on_and_it_is_tried_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as scene:
            scene.commits.offer(scene.pipeline.feed(added(pool(), service("a"))))
            await until(_count(scene, 1))
            with disk_full(tmp_path):
                many = [service(f"s{n:03}") for n in range(200)]
                scene.commits.offer(scene.pipeline.feed(added(*many)))
                await until(lambda: len(scene.told) == 2)
                assert "cannot be written" in scene.told[-1].error
                scene.commits.offer(scene.pipeline.feed(deleted(many[0])))
                await asyncio.sleep(0.1)
                assert len(scene.done) == 1
                assert len(LedgerStore.read(tmp_path).holders) == 1
            await until(_count(scene, 2))
            assert scene.durable()
            assert [one.ok for one in scene.told] == [True, False, True]
            passed = scene.done[-1].plan
            assert passed.changed is not None
            assert len(passed.changed) == 200
            assert len(passed.ledger.holders) == 200

    asyncio.run(scenario())


def test_steps_that_come_together_are_one_commit_with_the_changes_of_all(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as scene:
            scene.commits.offer(scene.pipeline.feed(added(pool(), service("a"))))
            await until(_count(scene, 1))
            for number in range(10):
                scene.commits.offer(scene.pipeline.feed(added(service(f"s{number}"))))
            await until(lambda: len(scene.done[-1].plan.ledger.holders) == 11)
            assert len(scene.done) < 5
            groups: set[object] = set()
            for step in scene.done[1:]:
                assert step.plan.changed is not None
                groups |= step.plan.changed
            assert len(groups) == 10
            assert scene.durable()

    asyncio.run(scenario())


def _count(scene: Scene, steps: int) -> Callable[[], bool]:
    return lambda: len(scene.done) == steps
