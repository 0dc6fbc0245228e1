"""What publishers do: upload in three ways, publish drafts, promote, withdraw, restore, delete."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from tests.stateful.asking import Asking
from tests.stateful.model import CHANNELS, PLATFORMS, VERSIONS, WHOLE, Build, Release, Rollout, rank

versions = st.sampled_from(VERSIONS[1:])
platforms = st.sampled_from(PLATFORMS)
channels = st.sampled_from((*CHANNELS, None))
CONTENTS = {"small": b"a", "middle": b"b" * 3_000, "large": b"c" * 70_000}
percents = st.sampled_from((0.0, 0.01, 30.0, 70.0, WHOLE))
BOUNDARY = "a-boundary-that-no-file-holds"
PIECE = "application/offset+octet-stream"


@dataclass(frozen=True)
class Said:
    """What an upload says beside version and platform."""

    size: str = "small"
    channel: str | None = None
    required: bool = False
    minimum: str | None = None
    draft: bool = False
    percent: float | None = None
    way: str = "body"


plainly = st.builds(Said, percent=st.none() | percents)
in_full = st.builds(
    Said,
    size=st.sampled_from(sorted(CONTENTS)),
    channel=channels,
    required=st.booleans(),
    minimum=st.none() | st.sampled_from(VERSIONS),
    draft=st.booleans(),
    percent=st.none() | percents,
    way=st.sampled_from(("body", "form", "tus")),
)


class Publishing(Asking):
    """Uploads and moves of releases."""

    @initialize(given=st.lists(st.tuples(versions, platforms, plainly), min_size=2, max_size=6))
    def begin_with(self, given: list[tuple[str, str, Said]]) -> None:
        """Begin with some releases, so that every rule has something to do."""
        self.begin()
        for version, platform, said in given:
            self.upload(version, platform, said)

    @rule(version=versions, platform=platforms, said=plainly | in_full)
    def upload(self, version: str, platform: str, said: Said) -> None:
        release, content = self.model.releases.get(version), CONTENTS[said.size]
        # What a release has already, it keeps; a draft gets its rollout later.
        percent = None if release is not None or said.draft else said.percent
        named = {"channel": said.channel, "minimum_version": said.minimum, "rollout": percent}
        given = {name: str(value) for name, value in named.items() if value is not None}
        given |= {"required": str(said.required).lower(), "draft": str(said.draft).lower()}
        refusal = self._refusal_of(version, platform, content, said)
        replaces = release is not None and platform in release.builds
        wanted = refusal or (204 if said.way == "tus" else 200 if replaces else 201)
        status = getattr(self, f"_send_{said.way}")(version, platform, content, given)
        assert status == wanted, (version, platform, given, said.way, status, "expected", wanted, self.model)
        self.shop.counts[f"upload by {said.way}, {status}"] += 1
        if refusal is not None:
            return
        if release is None:
            release = Release(said.channel or CHANNELS[0], "draft" if said.draft else "active")
            self.model.releases[version] = release
            if percent is not None:
                release.rollout = self._rollout_of(version, (percent,))
        release.builds[platform] = Build(content, said.required, said.minimum)
        if release.status == "active":
            self.model.bound[version, platform] = content

    def _refusal_of(self, version: str, platform: str, content: bytes, said: Said) -> int | None:
        if said.minimum is not None and rank(said.minimum) > rank(version):
            return 422
        release = self.model.releases.get(version)
        if not said.draft and self.model.bound.get((version, platform), content) != content:
            return 409
        if release is None:
            return None
        if release.status == "withdrawn" or said.channel not in (None, release.channel):
            return 409
        if release.status == "draft":
            return None  # asked for as a draft or not, what comes joins it
        return 409 if said.draft or platform in release.builds else None

    def _send_body(self, version: str, platform: str, content: bytes, given: dict[str, str]) -> int:
        path = f"/updates/{self.application}/builds/{version}/{platform}/amd64?{urlencode(given)}"
        return self.shop.server.status("PUT", path, content)

    def _send_form(self, version: str, platform: str, content: bytes, given: dict[str, str]) -> int:
        fields = {"version": version, "platform": platform, "architecture": "amd64", **given}
        head = "".join(
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
            for name, text in fields.items()
        )
        head += f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="app"\r\n\r\n'
        body = head.encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()
        content_type = f"multipart/form-data; boundary={BOUNDARY}"
        return self.shop.server.status("POST", f"/updates/{self.application}/upload", body, content_type=content_type)

    def _send_tus(self, version: str, platform: str, content: bytes, given: dict[str, str]) -> int:
        said = {"application_id": self.application, "version": version, "platform": platform, "architecture": "amd64"}
        metadata = ",".join(
            f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in {**said, **given}.items()
        )
        headers = {"Tus-Resumable": "1.0.0"}
        status, answered, _ = self.shop.server.call(
            "POST", "/uploads", headers={**headers, "Upload-Length": str(len(content)), "Upload-Metadata": metadata}
        )
        if status != 201:
            return int(status)
        path = answered["Location"].partition("/api/v1")[2]
        half = len(content) // 2
        for begin, end in ((0, half), (half, len(content))):
            piece = content[begin:end]
            more = {**headers, "Upload-Offset": str(begin)}
            status = self.shop.server.status("PATCH", path, piece, content_type=PIECE, headers=more)
            if status != 204:
                break
        return int(status)

    @precondition(lambda self: self.model.releases)
    @rule(data=st.data(), percent=st.none() | percents)
    def publish(self, data: Any, percent: float | None) -> None:
        version, release = self.pick(data)
        plan = {} if percent is None or release.status != "draft" else {"rollout": percent}
        path = f"~/releases/{version}/publish"
        is_taken = any(
            self.model.bound.get((version, platform), build.content) != build.content
            for platform, build in release.builds.items()
        )
        if release.status == "withdrawn" or (release.status == "draft" and is_taken):
            self.expect(409, "POST", path, plan)
            return
        self.expect(200, "POST", path, plan)
        if release.status == "draft":
            release.status = "active"
            for platform, build in release.builds.items():
                self.model.bound[version, platform] = build.content
            if plan:
                assert percent is not None
                release.rollout = self._rollout_of(version, (percent,))

    @precondition(lambda self: self.model.releases)
    @rule(data=st.data(), channel=st.sampled_from(CHANNELS), percent=st.none() | percents)
    def promote(self, data: Any, channel: str, percent: float | None) -> None:
        version, release = self.pick(data)
        is_move = CHANNELS.index(channel) < CHANNELS.index(release.channel)
        fits = release.status == "active" and (is_move or (channel == release.channel and percent is None))
        if fits and percent == WHOLE and release.rollout is not None and self._is_held_up(release.rollout):
            fits = False
        plan = {} if percent is None else {"rollout": {"percent": percent}}
        self.expect(200 if fits else 409, "POST", f"~/releases/{version}/promote", {"channel": channel, **plan})
        if fits:
            release.channel = channel
            if percent is not None:
                self._put_plan(version, release, (percent,))

    @precondition(lambda self: self.model.releases)
    @rule(data=st.data())
    def withdraw(self, data: Any) -> None:
        version, release = self.pick(data)
        self.expect(409 if release.status == "draft" else 200, "POST", f"~/releases/{version}/withdraw", {})
        if release.status != "draft":
            release.status = "withdrawn"

    @precondition(lambda self: self.model.releases)
    @rule(data=st.data(), percent=st.none() | percents)
    def restore(self, data: Any, percent: float | None) -> None:
        version, release = self.pick(data)
        fits = release.status == "withdrawn" or (release.status == "active" and percent is None)
        if fits and percent == WHOLE and release.rollout is not None and self._is_held_up(release.rollout):
            fits = False
        plan = {} if percent is None else {"rollout": {"percent": percent}}
        self.expect(200 if fits else 409, "POST", f"~/releases/{version}/restore", plan)
        if fits:
            release.status = "active"
            if percent is not None:
                self._put_plan(version, release, (percent,))

    @precondition(lambda self: self.model.releases)
    @rule(data=st.data(), whole=st.booleans())
    def delete(self, data: Any, whole: bool) -> None:
        version, release = self.pick(data)
        platform = data.draw(st.sampled_from(sorted(release.builds)))
        self.expect(200, "DELETE", f"~/releases/{version}" + ("" if whole else f"/{platform}/amd64"))
        del release.builds[platform]
        if release.rollout is not None:
            # The next build there begins a new series, with no evidence against it.
            release.rollout.halted.discard(platform)
        if whole or not release.builds:
            del self.model.releases[version]

    def pick(self, data: Any) -> tuple[str, Release]:
        version = data.draw(st.sampled_from(sorted(self.model.releases)))
        return version, self.model.releases[version]

    def _is_held_up(self, rollout: Rollout) -> bool:
        """Tell whether a plan that would complete it at once is refused: it is halted, and not paused."""
        return bool(rollout.halted) and rollout.state == "active"

    def _rollout_of(self, version: str, stages: tuple[float, ...]) -> Rollout:
        found = self.expect(200, "GET", f"~/releases/{version}/rollout")
        made = Rollout(stages, found["salt"])
        made.enter(1)
        return made

    def _put_plan(self, version: str, release: Release, stages: tuple[float, ...]) -> None:
        """Note that an active release has another plan: who is inside stays, and so does a pause."""
        rollout = release.rollout
        if rollout is None:
            release.rollout = self._rollout_of(version, stages)
            return
        was = rollout.state
        rollout.stages = stages
        rollout.enter(1)
        if was == "paused":
            rollout.state = "paused"
