"""One application of a running service, and the dictionary beside it: what all rules of the machine share."""

from __future__ import annotations

import copy
import itertools
import json
import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from hypothesis.stateful import RuleBasedStateMachine, invariant

from tests.durability.conftest import Place, Server, Warm
from tests.stateful.model import CHANNELS, PLATFORMS, VERSIONS, Model, Question

NOBODY = ""
CLIENTS = ("one", "two", "manual")


class Shop:
    """A service that goes on from one run of the machine to the next, and may be started anew or in another folder."""

    def __init__(self, warm: Warm, place: Place, folder: Path) -> None:
        self.warm, self.place, self.folder = warm, place, folder
        self.numbers = itertools.count(1)
        self.counts: Counter[str] = Counter()
        self.server = self._start()

    def restart(self, *, kill: bool = False, **sections: dict[str, Any]) -> None:
        assert self.server.kill() != 0 if kill else self.server.stop() == 0
        self.server = self._start(**sections)

    def restore(self, backup: Path) -> None:
        """Go on with a new data folder that is restored from a backup."""
        assert self.server.stop() == 0
        self.place = Place(self.folder / f"restored-{next(self.numbers)}", None)
        assert self.warm.run(self.place, "restore", str(backup), fail_at=-1) == 0
        self.server = self._start()

    def _start(self, **sections: dict[str, Any]) -> Server:
        return self.warm.start(self.place, **{"feeds": {"derive": False}, **sections})


class Asking(RuleBasedStateMachine):
    """Asks, and compares."""

    shop: Shop  # set by whoever runs the machine

    def begin(self) -> None:
        self.application = f"app-{next(self.shop.numbers)}"
        self.model = Model()
        self.backup: tuple[Path, Model] | None = None
        every = list(self.every_question())
        random.Random(1).shuffle(every)
        self.questions = itertools.cycle(every)
        given = {"id": self.application, "name": "x", "platforms": list(PLATFORMS), "channels": list(CHANNELS)}
        self.expect(201, "POST", "/applications", given)

    def expect(self, status: int, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """Send a request that must have this status; return its JSON, None when it is empty. `~` is the application."""
        path = path.replace("~", f"/updates/{self.application}", 1)
        found, _, content = self.shop.server.call(method, path, body, **more)
        self.shop.counts[f"{method} {status}"] += 1
        assert found == status, (method, path, found, content[:500], "expected", status)
        is_json = content[:1] in (b"{", b"[")
        return json.loads(content) if is_json else content

    def check(self, asked: Question) -> dict[str, Any]:
        query = {
            "current_version": asked.current,
            "platform": asked.platform,
            "architecture": "amd64",
            "channel": asked.channel,
            "allow_prerelease": str(asked.prereleases).lower(),
        }
        query |= {"manual": "true"} if asked.client == "manual" else {"client_id": asked.client}
        answer: dict[str, Any] = self.expect(200, "GET", f"~/check?{urlencode(query)}", key=NOBODY)
        return answer

    def hold(self, asked: Question) -> None:
        """Compare the answer to a question with that of the model, and the bytes with those that were published."""
        answer, wanted = self.check(asked), self.model.offer(asked)
        offered = (answer["latest_version"], answer["required"]) if answer["update_available"] else None
        assert offered == wanted, (asked, offered, "expected", wanted, self.model)
        self.shop.counts["questions"] += 1
        if wanted is not None:
            self.hold_bytes(wanted[0], asked.platform)

    def hold_bytes(self, version: str, platform: str) -> None:
        release = self.model.releases[version]
        path = f"~/download/{version}/{platform}/amd64"
        if release.status != "active":
            self.expect(404, "GET", path, key=NOBODY)
            return
        address = path.replace("~", f"/updates/{self.application}", 1)
        status, _, content = self.shop.server.call("GET", address, key=NOBODY)
        assert (status, content) == (200, release.builds[platform].content), (version, platform, status, content[:200])
        self.shop.counts["downloads"] += 1

    @invariant()
    def some_questions(self) -> None:
        """Ask what an old client of each platform asks, and the next two of all questions."""
        for platform in PLATFORMS:
            self.hold(Question(VERSIONS[0], platform, CHANNELS[1], client="manual"))
        for asked in itertools.islice(self.questions, 2):
            self.hold(asked)

    def every_question(self) -> Iterator[Question]:
        for current, platform, client in itertools.product(VERSIONS, PLATFORMS, CLIENTS):
            for channel, prereleases in ((CHANNELS[0], False), (CHANNELS[0], True), (CHANNELS[1], False)):
                yield Question(current, platform, channel, prereleases, client)

    def operate(self, operation: str, **arguments: Any) -> Any:
        return self.shop.server.operate(operation, **arguments)

    def remember(self) -> Model:
        return copy.deepcopy(self.model)

    def teardown(self) -> None:
        """Ask everything once more; the application goes in any case, or the next run would find what it left."""
        if not hasattr(self, "model"):
            return
        try:
            if sys.exc_info()[0] is None:  # what a rule found must not be hidden by what follows from it
                self.hold_everything()
        finally:
            self.expect(204, "DELETE", f"/applications/{self.application}")

    def hold_everything(self) -> None:
        for asked in itertools.islice(self.every_question(), 0, None, 3):
            self.hold(asked)
        for version, release in self.model.releases.items():
            for platform in release.builds:
                self.hold_bytes(version, platform)
        self.hold_figures()
        assert self.operate("audit.verify")["broken"] is None

    def hold_figures(self) -> None:
        found = self.expect(200, "GET", f"/applications/{self.application}/figures?range=week")["reports"]
        assert {name: found[name] for name in self.model.counts()} == self.model.counts()
