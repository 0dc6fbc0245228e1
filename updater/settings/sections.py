"""The sections: a frozen dataclass for each, each setting declared once, with its default and its check."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from marshmallow import fields, validate

import updater.settings.checks as checks
from updater.settings.checks import Secret, setting
from updater.settings.deployments import (
    BusySettings,
    DeploymentSettings,
    HealthSettings,
    RestartSettings,
    StepSettings,
)

LEVELS = ("feed", "read", "write", "admin")
# Source: Amazon S3 API, CopyObject; every upload is copied once inside the store.
COPY_LIMIT_BYTES = 5 * 1024**3
_APPLICATION = r"[A-Za-z0-9_-]{1,100}\Z"
_APPLICATION_ERROR = "expected 1 to 100 letters, digits, hyphens and underscores"


@dataclass(frozen=True)
class ServerSettings:
    """Where the service listens, how it names itself, and how it treats connections."""

    host: str = setting(checks.text(validate.Length(min=1)), "127.0.0.1")
    port: int = setting(checks.whole(0, 65535), 8080)
    public_url: str | None = setting(
        fields.String(allow_none=True, validate=checks.origin_url), None, secret=Secret.IN_URL
    )
    trusted_proxies: tuple[str, ...] = setting(fields.List(fields.String(validate=checks.network)), ())
    # Of pages that may read checks, reports, downloads and feeds; * for all.
    cors_origins: tuple[str, ...] = setting(fields.List(fields.String(validate=checks.cors_origin)), ())
    drain_s: int = setting(checks.whole(0, 3600), 30)
    # Averaged over a minute, for bodies in both directions; 0: no minimum.
    min_bytes_per_s: int = setting(checks.whole(0, 1_000_000), 1024)
    # Of one process; 0: no bound but that of its open files.
    max_connections: int = setting(checks.whole(0, 1_000_000), 10_000)
    max_connections_per_address: int = setting(checks.whole(0, 1_000_000), 512)
    workers: int = setting(checks.whole(1, 256), 1)


@dataclass(frozen=True)
class StorageSettings:
    """Where rows and blobs are stored.

    Raises:
        ValueError: `offload` or a too large `max_upload_bytes` together with `blob_url`.
    """

    root: str = setting(checks.text(validate.Length(min=1)), "storage")
    database_url: str | None = setting(
        fields.String(allow_none=True, validate=checks.database_url), None, secret=Secret.IN_URL
    )
    blob_url: str | None = setting(fields.String(allow_none=True, validate=checks.blob_url), None, secret=Secret.IN_URL)
    remote_downloads: str = setting(checks.text(validate.OneOf(("redirect", "stream"))), "redirect")
    signed_url_s: int = setting(checks.whole(60, 604_800), 3600)
    offload: str | None = setting(fields.String(allow_none=True, validate=validate.OneOf(("x-accel",))), None)
    max_upload_bytes: int = setting(checks.whole(1), 2_147_483_648)
    cdn_url: str | None = setting(fields.String(allow_none=True, validate=checks.http_url), None, secret=Secret.IN_URL)
    collect_grace_s: int = setting(checks.whole(0), 86_400)
    # Every stored file is hashed once in so many days; None: only when it is opened.
    scrub_days: int | None = setting(checks.whole_or_none(1, 3650), 30)
    # Free space that uploads and reports leave; None: 5 % of the file system, at most 1 GiB.
    reserve_bytes: int | None = setting(checks.whole_or_none(0, 2**50), None)
    # How long an upload that resumes is kept after its last byte, and what became of it.
    upload_expiry_s: int = setting(checks.whole(60, 31_536_000), 86_400)
    # Unfinished uploads that resume, of one key or person.
    uploads_per_key: int = setting(checks.whole(1, 100_000), 64)

    @property
    def group_reads(self) -> bool:
        """Tell whether another program of this user's group reads the stored files: nginx, which sends them."""
        return self.offload is not None

    def __post_init__(self) -> None:
        if self.offload and self.blob_url:
            raise ValueError("offload sends local files; with blob_url there are none")
        if self.blob_url and self.max_upload_bytes > COPY_LIMIT_BYTES:
            raise ValueError(f"max_upload_bytes: object stores copy at most {COPY_LIMIT_BYTES} bytes, 5 GiB, at once")


@dataclass(frozen=True)
class ApiKeySettings:
    """A key in the settings, beside those made with `updater key create`.

    Raises:
        ValueError: a key of no more than `feed` names no application.
    """

    name: str = setting(checks.text(validate.Length(min=1, max=100)))
    key: str = setting(checks.text(validate.Length(min=16, max=200)), secret=Secret.ALL)
    permissions: tuple[str, ...] = setting(
        fields.List(fields.String(validate=validate.OneOf(LEVELS)), validate=validate.Length(min=1))
    )
    application: str | None = setting(fields.String(allow_none=True), None)
    enabled: bool = setting(fields.Boolean(truthy={True}, falsy={False}), True)
    expires_at: datetime | None = setting(fields.AwareDateTime(allow_none=True), None)

    def __post_init__(self) -> None:
        if set(self.permissions) == {"feed"} and self.application is None:
            raise ValueError("application: a feed key is for one application; name it")


@dataclass(frozen=True)
class DeployClaimSettings:
    """The claim that a token needs to apply updates and to roll them back, and the values of which it holds one.

    `name` may be a path through objects: `realm_access.roles`.
    """

    name: str = setting(checks.text(validate.Length(min=1, max=200)))
    values: tuple[str | int | bool, ...] = setting(
        fields.List(fields.Raw(validate=checks.claim_value), validate=validate.Length(min=1))
    )


@dataclass(frozen=True)
class JwtSettings:
    """The tokens of front ends: one algorithm with its one key. Without a key no token is valid.

    Raises:
        ValueError: a secret and a public key are mixed up.
    """

    algorithm: str = setting(checks.text(validate.OneOf(("HS256", "RS256", "ES256", "EdDSA"))), "HS256")
    secret: str | None = setting(fields.String(allow_none=True, validate=checks.long_secret), None, secret=Secret.ALL)
    public_key: str | None = setting(fields.String(allow_none=True, validate=checks.public_pem), None)
    audience: str | None = setting(fields.String(allow_none=True, validate=validate.Length(min=1)), None)
    issuer: str | None = setting(fields.String(allow_none=True, validate=validate.Length(min=1)), None)
    deploy_claim: DeployClaimSettings | None = setting(fields.Dict(allow_none=True), None)

    def __post_init__(self) -> None:
        if self.algorithm == "HS256" and self.public_key is not None:
            raise ValueError("HS256 takes a secret, not a public_key")
        if self.algorithm != "HS256" and self.secret is not None:
            raise ValueError(f"{self.algorithm} takes a public_key, not a secret")


@dataclass(frozen=True)
class AccessSettings:
    """API keys, tokens and sessions.

    `enabled: false` opens every endpoint that asks for an API key, as the /api/v1 document says. Endpoints that ask for
    a session or a token stay closed: they change this machine, or belong to one person.
    """

    enabled: bool = setting(fields.Boolean(truthy={True}, falsy={False}), True)
    api_keys: tuple[ApiKeySettings, ...] = setting(fields.List(fields.Raw()), ())
    jwt: JwtSettings = setting(fields.Dict(), JwtSettings())
    session_idle_minutes: int = setting(checks.whole(1, 60 * 24 * 30), 60)
    session_hours: int = setting(checks.whole(1, 24 * 365), 12)


@dataclass(frozen=True)
class RateLimitSettings:
    """What a client may ask of the service.

    A client without a credential is one address: of IPv4, or a /64 of IPv6. All addresses of a /48 together have
    several times as much.
    """

    enabled: bool = setting(fields.Boolean(truthy={True}, falsy={False}), True)
    # Requests of one client without a credential; update checks and feeds that name a client id have it for each id.
    anonymous_per_minute: int = setting(checks.whole(1), 1200)
    # Requests of one key, person or token; of a key below `write`, for each address that uses it.
    authenticated_per_minute: int = setting(checks.whole(1), 1200)
    # Update checks and feeds of one address, whatever client ids they name.
    checks_per_minute: int = setting(checks.whole(1), 12_000)
    # Downloads, each range request too, of one address, or of one key as above.
    downloads_per_minute: int = setting(checks.whole(1), 30_000)
    download_bytes_per_minute: int = setting(checks.whole(1, 1 << 50), 32 << 30)
    downloads_at_once: int = setting(checks.whole(1, 1_000_000), 512)
    sign_in_per_minute: int = setting(checks.whole(1), 10)
    storage_url: str | None = setting(
        fields.String(allow_none=True, validate=checks.redis_url), None, secret=Secret.IN_URL
    )


@dataclass(frozen=True)
class TelemetrySettings:
    """How reports are queued and stored, and where the country of an update check comes from."""

    queue_size: int = setting(checks.whole(1, 1_000_000), 10_000)
    # Days that raw reports are kept; counts are kept for ever.
    retention_days: int = setting(checks.whole(1, 36_500), 400)
    # Bytes of raw reports that one address may leave behind in a day; every report is counted.
    report_bytes_per_day: int = setting(checks.whole(0), 32 * 1024 * 1024)
    # The name of a header that a proxy sets, overwriting what clients send, such as CF-IPCountry.
    country_header: str | None = setting(fields.String(allow_none=True, validate=checks.header_name), None)
    geoip_database: str | None = setting(fields.String(allow_none=True, validate=validate.Length(min=1)), None)


@dataclass(frozen=True)
class RetentionSettings:
    """What is removed each day.

    Releases: none, unless a rule is set; then those that no set rule keeps. Deployments: log lines and finished updates
    older than `deployment_days` days that do not belong to the last `deployment_runs` runs. Audit: none, unless
    `audit_days` is set. Drafts: those that nothing was uploaded to for `draft_days` days.
    """

    keep_releases: int | None = setting(checks.whole_or_none(1, 1_000_000), None)
    keep_days: int | None = setting(checks.whole_or_none(1, 36_500), None)
    deployment_days: int = setting(checks.whole(1, 36_500), 400)
    deployment_runs: int = setting(checks.whole(1, 10_000), 100)
    audit_days: int | None = setting(checks.whole_or_none(1, 36_500), None)
    draft_days: int = setting(checks.whole(1, 36_500), 30)

    @property
    def concerns_releases(self) -> bool:
        """Tell whether a rule for releases is set."""
        return self.keep_releases is not None or self.keep_days is not None


@dataclass(frozen=True)
class FeedsSettings:
    """What the server makes for the updaters of installed applications: block maps and zsync files."""

    derive: bool = setting(fields.Boolean(truthy={True}, falsy={False}), True)
    # A larger file gets none.
    derive_max_bytes: int = setting(checks.whole(0), 2_147_483_648)


@dataclass(frozen=True)
class WebhooksSettings:
    """Where events are delivered: to public addresses, and to these networks beside them."""

    allow_private: tuple[str, ...] = setting(fields.List(fields.String(validate=checks.ip_network)), ())


@dataclass(frozen=True)
class LoggingSettings:
    """What is written to standard output: one JSON object a line, or text for people."""

    level: str = setting(checks.text(validate.OneOf(("debug", "info", "warning", "error"))), "info")
    access: bool = setting(fields.Boolean(truthy={True}, falsy={False}), True)
    # auto: text on a terminal, else JSON.
    format: str = setting(checks.text(validate.OneOf(("auto", "json", "text"))), "auto")


@dataclass(frozen=True)
class DesktopSettings:
    """One mounted desktop API: its prefix, its application, and the names of downloads."""

    prefix: str = setting(fields.String(validate=checks.prefix), "/wp-json/bkgt/v1/updates")
    application: str = setting(checks.text(validate.Regexp(_APPLICATION, error=_APPLICATION_ERROR)), "bkgt-manager")
    file_name: str = setting(fields.String(validate=checks.file_name), "BKGT-Manager-{version}-{platform}{suffix}")


@dataclass(frozen=True)
class Settings:
    """All settings, one attribute a section. Build with `load`, or directly in tests."""

    server: ServerSettings = field(default_factory=ServerSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    rate_limit: RateLimitSettings = field(default_factory=RateLimitSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    feeds: FeedsSettings = field(default_factory=FeedsSettings)
    webhooks: WebhooksSettings = field(default_factory=WebhooksSettings)
    deployments: tuple[DeploymentSettings, ...] = ()
    logging: LoggingSettings = field(default_factory=LoggingSettings)
    desktop: tuple[DesktopSettings, ...] = ()


SECTIONS: dict[str, type[Any]] = {
    "server": ServerSettings,
    "storage": StorageSettings,
    "access": AccessSettings,
    "rate_limit": RateLimitSettings,
    "telemetry": TelemetrySettings,
    "retention": RetentionSettings,
    "feeds": FeedsSettings,
    "webhooks": WebhooksSettings,
    "deployments": DeploymentSettings,
    "logging": LoggingSettings,
    "desktop": DesktopSettings,
}
# Sections that are a list of records; an `id` of a record must be unique.
LISTS = frozenset({"deployments", "desktop"})
# Settings that are a record, or a list of records: "section.key" -> the record's type.
RECORDS: dict[str, type[Any]] = {
    "access.api_keys": ApiKeySettings,
    "access.jwt": JwtSettings,
    "access.jwt.deploy_claim": DeployClaimSettings,
    "deployments.busy": BusySettings,
    "deployments.steps": StepSettings,
    "deployments.restart": RestartSettings,
    "deployments.health": HealthSettings,
}
