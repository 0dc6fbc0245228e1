"""The settings: a frozen dataclass for each section, each setting declared once.

A declaration holds the default and the marshmallow field that checks a given value. Where values come from is
`updater.config`'s business.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from string import Formatter
from typing import Any
from urllib.parse import SplitResult, urlsplit

from marshmallow import ValidationError, fields, validate

LEVELS = ("read", "write", "admin")
# What the pattern of a desktop download's file name may hold.
FILE_NAME_FIELDS = ("application", "version", "platform", "suffix")
_DATABASE_SCHEMES = ("postgresql", "postgres")
OBJECT_STORE_SCHEMES = ("s3", "gs", "az")
# Source: Amazon S3 API, CopyObject; every upload is copied once inside the store.
COPY_LIMIT_BYTES = 5 * 1024**3
# First parts of paths that belong to other interfaces.
_TAKEN = ("api", "admin", "health", "metrics")
_APPLICATION = r"[A-Za-z0-9_-]{1,100}\Z"
_APPLICATION_ERROR = "expected 1 to 100 letters, digits, hyphens and underscores"


def _setting(check: fields.Field[Any], default: Any = dataclasses.MISSING) -> Any:
    """Declare one setting: how it is checked and what holds when it is not given."""
    if default is dataclasses.MISSING:
        check.required = True
        return field(metadata={"check": check})
    check.required = False
    if isinstance(default, tuple):
        return field(default_factory=lambda: default, metadata={"check": check})
    return field(default=default, metadata={"check": check})


def _split(value: str) -> SplitResult:
    """Return the parts of a URL; none, which no setting takes, when brackets or port cannot be read."""
    try:
        parts = urlsplit(value)
        if parts.scheme not in _DATABASE_SCHEMES:  # which take several hosts, each with its port
            _ = parts.port
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


def _http_url(value: str) -> None:
    parts = _split(value)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment:
        raise ValidationError("expected an absolute http(s) URL without query, such as https://updates.example.com")


def _database_url(value: str) -> None:
    parts = _split(value)
    if parts.scheme not in _DATABASE_SCHEMES or parts.fragment:
        raise ValidationError("expected postgresql://user:password@host/database, special characters percent-encoded")


def _blob_url(value: str) -> None:
    parts = _split(value)
    if parts.scheme not in OBJECT_STORE_SCHEMES or not parts.netloc or "@" in parts.netloc or parts.fragment:
        raise ValidationError("expected s3://bucket/prefix?endpoint=..., gs://bucket/... or az://container/...")


def _redis_url(value: str) -> None:
    parts = _split(value)
    place = parts.path if parts.scheme == "unix" else parts.hostname
    numbered = parts.scheme == "unix" or re.fullmatch(r"/?[0-9]*", parts.path)
    if parts.scheme not in ("redis", "rediss", "unix") or not place or parts.fragment or not numbered:
        raise ValidationError("expected redis://host:6379/0, rediss://... (TLS) or unix:///path/of/the.sock")


def _network(value: str) -> None:
    try:
        ipaddress.ip_network(value)
    except ValueError:
        raise ValidationError("expected an address or a network such as 10.0.0.0/8") from None


def _prefix(value: str) -> None:
    if not re.fullmatch(r"(/[A-Za-z0-9_.~-]+)+", value) or {".", ".."} & set(value.split("/")):
        raise ValidationError("expected a path such as /updates, of letters, digits and '_.~-', without '/' at its end")
    if value.split("/")[1] in _TAKEN:
        raise ValidationError(f"the paths below {', '.join('/' + each for each in _TAKEN)} are taken")


def _file_name(value: str) -> None:
    try:
        holes = [(name, spec, change) for _, name, spec, change in Formatter().parse(value) if name is not None]
    except ValueError:
        holes = []
    named = {name for name, _, _ in holes}
    plain = all(not spec and not change for _, spec, change in holes)
    if not plain or not {"version", "platform"} <= named <= set(FILE_NAME_FIELDS):
        raise ValidationError(
            "expected a pattern with {version}, {platform} and, if wanted, {application} and {suffix}"
        )


def _header_name(value: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9-]{1,100}", value):
        raise ValidationError("expected the name of a header such as CF-IPCountry")


def _text(*checks: Any) -> fields.String:
    return fields.String(validate=list(checks))


def _whole(low: int, high: int | None = None) -> fields.Integer:
    return fields.Integer(strict=True, validate=validate.Range(min=low, max=high))


def _whole_or_none(low: int, high: int) -> fields.Integer:
    return fields.Integer(strict=True, allow_none=True, validate=validate.Range(min=low, max=high))


@dataclass(frozen=True)
class ServerSettings:
    """Where the service listens and how it names itself."""

    host: str = _setting(_text(validate.Length(min=1)), "127.0.0.1")
    port: int = _setting(_whole(0, 65535), 8080)
    public_url: str | None = _setting(fields.String(allow_none=True, validate=_http_url), None)
    trusted_proxies: tuple[str, ...] = _setting(fields.List(fields.String(validate=_network)), ())
    drain_s: int = _setting(_whole(0, 3600), 30)
    # Averaged over a minute, for bodies in both directions; 0: no minimum.
    min_bytes_per_s: int = _setting(_whole(0, 1_000_000), 1024)
    # Of one process; 0: no bound but that of its open files.
    max_connections: int = _setting(_whole(0, 1_000_000), 10_000)
    max_connections_per_address: int = _setting(_whole(0, 1_000_000), 512)
    workers: int = _setting(_whole(1, 256), 1)


@dataclass(frozen=True)
class StorageSettings:
    """Where rows and bytes live."""

    root: str = _setting(_text(validate.Length(min=1)), "storage")
    database_url: str | None = _setting(fields.String(allow_none=True, validate=_database_url), None)
    blob_url: str | None = _setting(fields.String(allow_none=True, validate=_blob_url), None)
    remote_downloads: str = _setting(_text(validate.OneOf(("redirect", "stream"))), "redirect")
    signed_url_s: int = _setting(_whole(60, 604_800), 3600)
    offload: str | None = _setting(fields.String(allow_none=True, validate=validate.OneOf(("x-accel",))), None)
    max_upload_bytes: int = _setting(_whole(1), 2_147_483_648)
    cdn_url: str | None = _setting(fields.String(allow_none=True, validate=_http_url), None)
    collect_grace_s: int = _setting(_whole(0), 86_400)

    def __post_init__(self) -> None:
        if self.offload and self.blob_url:
            raise ValueError("offload sends local files; with blob_url there are none")
        if self.blob_url and self.max_upload_bytes > COPY_LIMIT_BYTES:
            raise ValueError(f"max_upload_bytes: object stores copy at most {COPY_LIMIT_BYTES} bytes, 5 GiB, at once")


@dataclass(frozen=True)
class ApiKeySettings:
    """A key that lives in the settings, beside those made with `updater key create`."""

    name: str = _setting(_text(validate.Length(min=1, max=100)))
    key: str = _setting(_text(validate.Length(min=16, max=200)))
    permissions: tuple[str, ...] = _setting(
        fields.List(fields.String(validate=validate.OneOf(LEVELS)), validate=validate.Length(min=1))
    )
    application: str | None = _setting(fields.String(allow_none=True), None)
    enabled: bool = _setting(fields.Boolean(truthy={True}, falsy={False}), True)
    expires_at: datetime | None = _setting(fields.AwareDateTime(allow_none=True), None)


def _long_secret(value: str) -> None:
    if len(value.encode()) < 32:
        raise ValidationError("expected at least 32 bytes")


def _public_pem(value: str) -> None:
    if not value.lstrip().startswith("-----BEGIN PUBLIC KEY-----"):
        raise ValidationError("expected a public key in PEM form, beginning with -----BEGIN PUBLIC KEY-----")


@dataclass(frozen=True)
class JwtSettings:
    """The tokens of front ends: one algorithm, with its one key. Without a key no token is taken."""

    algorithm: str = _setting(_text(validate.OneOf(("HS256", "RS256", "ES256", "EdDSA"))), "HS256")
    secret: str | None = _setting(fields.String(allow_none=True, validate=_long_secret), None)
    public_key: str | None = _setting(fields.String(allow_none=True, validate=_public_pem), None)
    audience: str | None = _setting(fields.String(allow_none=True, validate=validate.Length(min=1)), None)
    issuer: str | None = _setting(fields.String(allow_none=True, validate=validate.Length(min=1)), None)

    def __post_init__(self) -> None:
        if self.algorithm == "HS256" and self.public_key is not None:
            raise ValueError("HS256 takes a secret, not a public_key")
        if self.algorithm != "HS256" and self.secret is not None:
            raise ValueError(f"{self.algorithm} takes a public_key, not a secret")


@dataclass(frozen=True)
class AccessSettings:
    """Who may do what. `enabled: false` opens every endpoint that asks for an API key, as the /api/v1 document says.

    What asks for a session or a token stays closed: it changes this machine, or belongs to one person.
    """

    enabled: bool = _setting(fields.Boolean(truthy={True}, falsy={False}), True)
    api_keys: tuple[ApiKeySettings, ...] = _setting(fields.List(fields.Raw()), ())
    jwt: JwtSettings = _setting(fields.Dict(), JwtSettings())
    session_idle_minutes: int = _setting(_whole(1, 60 * 24 * 30), 60)
    session_hours: int = _setting(_whole(1, 24 * 365), 12)


@dataclass(frozen=True)
class RateLimitSettings:
    """How many requests a client may send."""

    enabled: bool = _setting(fields.Boolean(truthy={True}, falsy={False}), True)
    anonymous_per_minute: int = _setting(_whole(1), 300)
    authenticated_per_minute: int = _setting(_whole(1), 1200)
    sign_in_per_minute: int = _setting(_whole(1), 10)
    storage_url: str | None = _setting(fields.String(allow_none=True, validate=_redis_url), None)


@dataclass(frozen=True)
class TelemetrySettings:
    """How reports are taken in and kept, and what tells the country of an update request."""

    queue_size: int = _setting(_whole(1, 1_000_000), 10_000)
    # Counts are kept for ever, raw reports so long.
    retention_days: int = _setting(_whole(1, 36_500), 400)
    # Set by a proxy that overwrites what clients send, such as CF-IPCountry.
    country_header: str | None = _setting(fields.String(allow_none=True, validate=_header_name), None)
    geoip_database: str | None = _setting(fields.String(allow_none=True, validate=validate.Length(min=1)), None)


# What the steps of the documented update process are called, and what they run unless told otherwise.
STEP_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "dependencies": ("uv", "sync"),
    "static_files": ("uv", "run", "python", "manage.py", "collectstatic", "--noinput"),
    "migrations": ("uv", "run", "python", "manage.py", "migrate", "--noinput"),
}
RESERVED_STEPS = ("git_fetch", "git_pull", "git_reset", "restart", "health")
GIT_PROTOCOLS = ("https", "ssh", "http", "git", "file")


def _command() -> fields.List[Any]:
    word = fields.String(validate=[validate.Length(min=1), validate.ContainsNoneOf("\0")])
    return fields.List(word, validate=validate.Length(min=1))


def _names() -> fields.List[Any]:
    return fields.List(fields.String(validate=validate.Regexp(r"\A[A-Za-z_][A-Za-z0-9_]*\Z")))


def _switch() -> fields.Boolean:
    return fields.Boolean(truthy={True}, falsy={False})


def _probe_url(value: str) -> None:
    parts = _split(value)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValidationError("expected an absolute http(s) URL such as http://127.0.0.1:3000/health")


@dataclass(frozen=True)
class StepSettings:
    """One step of a deployment. The steps of the documented process have a command by default.

    `environment` names the variables that are handed on besides the deployment's own list.
    """

    name: str = _setting(_text(validate.Regexp(r"\A[a-z][a-z0-9_]{0,39}\Z"), validate.NoneOf(RESERVED_STEPS)))
    command: tuple[str, ...] = _setting(_command(), ())
    timeout_s: int = _setting(_whole(1, 86_400), 300)
    environment: tuple[str, ...] = _setting(_names(), ())

    def __post_init__(self) -> None:
        if not self.command:
            if self.name not in STEP_COMMANDS:
                raise ValueError(f"step {self.name!r} needs a command")
            object.__setattr__(self, "command", STEP_COMMANDS[self.name])


@dataclass(frozen=True)
class RestartSettings:
    """How the deployed service is restarted. The command must end; what it leaves running keeps running.

    A command that puts a server into the background itself must send that server's output somewhere else.
    """

    command: tuple[str, ...] = _setting(_command())
    timeout_s: int = _setting(_whole(1, 3600), 60)
    environment: tuple[str, ...] = _setting(_names(), ())


@dataclass(frozen=True)
class HealthSettings:
    """The address that answers 2xx when the service is well: first within `within_s`, then for `steady_s` on end."""

    url: str = _setting(fields.String(validate=_probe_url))
    within_s: int = _setting(_whole(1, 3600), 30)
    steady_s: int = _setting(_whole(0, 600), 2)


@dataclass(frozen=True)
class BusySettings:
    """A question whose yes puts an update off: a command that ends with 0, or a JSON value.

    `path` goes through objects and lists by dots (`jobs.active`, `workers.0.state`); the answer is yes when the
    value there equals `equals`. Without a path the whole document is compared.
    """

    command: tuple[str, ...] = _setting(_command(), ())
    url: str | None = _setting(fields.String(allow_none=True, validate=_probe_url), None)
    path: str = _setting(fields.String(), "")
    equals: Any = _setting(fields.Raw(allow_none=True), True)
    timeout_s: int = _setting(_whole(1, 120), 10)

    def __post_init__(self) -> None:
        if bool(self.command) == bool(self.url):
            raise ValueError("expected either a command or a url")


@dataclass(frozen=True)
class DeploymentSettings:
    """A git checkout on this machine that is brought up to date step by step. The first one is the default.

    `launcher` is put in front of the process that carries an update out, for supervisors that end everything a
    service ever started: `[systemd-run, --scope, --collect, --quiet]`, or set `KillMode=process` in the unit.
    """

    id: str = _setting(_text(validate.Regexp(r"\A[a-z0-9][a-z0-9_-]{0,63}\Z")))
    path: str = _setting(_text(validate.Regexp(r"\A/[^\0]*\Z", error="expected an absolute path")))
    remote: str = _setting(_text(validate.Regexp(r"\A[A-Za-z0-9_][A-Za-z0-9._-]{0,99}\Z")), "origin")
    branch: str = _setting(_text(validate.Length(min=1, max=200)), "main")
    protocols: tuple[str, ...] = _setting(
        fields.List(fields.String(validate=validate.OneOf(GIT_PROTOCOLS))), ("https", "ssh")
    )
    allow_hooks: bool = _setting(_switch(), False)
    allow_submodules: bool = _setting(_switch(), False)
    allow_filters: bool = _setting(_switch(), False)
    git_timeout_s: int = _setting(_whole(1, 3600), 120)
    environment: tuple[str, ...] = _setting(_names(), ())
    launcher: tuple[str, ...] = _setting(fields.List(fields.String(validate=validate.Length(min=1))), ())
    busy: tuple[BusySettings, ...] = _setting(fields.List(fields.Raw()), ())
    steps: tuple[StepSettings, ...] = _setting(fields.List(fields.Raw()), (StepSettings("dependencies"),))
    restart: RestartSettings | None = _setting(fields.Dict(allow_none=True), None)
    health: HealthSettings | None = _setting(fields.Dict(allow_none=True), None)

    def __post_init__(self) -> None:
        names = [step.name for step in self.steps]
        if len(set(names)) < len(names):
            raise ValueError("two steps have the same name")


@dataclass(frozen=True)
class RetentionSettings:
    """What is removed each day.

    Of releases none, unless a rule is set; then those that no set rule keeps. Of a deployment's past what is older than
    `deployment_days` and not of its last `deployment_runs` runs.
    """

    keep_releases: int | None = _setting(_whole_or_none(1, 1_000_000), None)
    keep_days: int | None = _setting(_whole_or_none(1, 36_500), None)
    deployment_days: int = _setting(_whole(1, 36_500), 400)
    deployment_runs: int = _setting(_whole(1, 10_000), 100)

    @property
    def concerns_releases(self) -> bool:
        """Tell whether any rule for releases is set."""
        return self.keep_releases is not None or self.keep_days is not None


@dataclass(frozen=True)
class LoggingSettings:
    """What is written to standard output, one JSON object a line."""

    level: str = _setting(_text(validate.OneOf(("debug", "info", "warning", "error"))), "info")
    access: bool = _setting(fields.Boolean(truthy={True}, falsy={False}), True)


@dataclass(frozen=True)
class DesktopSettings:
    """One mounted desktop API: where, for which application, and how downloads are named."""

    prefix: str = _setting(fields.String(validate=_prefix), "/wp-json/bkgt/v1/updates")
    application: str = _setting(_text(validate.Regexp(_APPLICATION, error=_APPLICATION_ERROR)), "bkgt-manager")
    file_name: str = _setting(fields.String(validate=_file_name), "BKGT-Manager-{version}-{platform}{suffix}")


@dataclass(frozen=True)
class Settings:
    """All settings, one attribute a section. Build with `load`, or directly in tests."""

    server: ServerSettings = field(default_factory=ServerSettings)
    storage: StorageSettings = field(default_factory=StorageSettings)
    access: AccessSettings = field(default_factory=AccessSettings)
    rate_limit: RateLimitSettings = field(default_factory=RateLimitSettings)
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
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
    "deployments": DeploymentSettings,
    "logging": LoggingSettings,
    "desktop": DesktopSettings,
}
# Sections that are a list of records; where they have an `id`, it must differ.
LISTS = frozenset({"deployments", "desktop"})
# Settings that are a record, or a list of records: "section.key" -> the record's type.
RECORDS: dict[str, type[Any]] = {
    "access.api_keys": ApiKeySettings,
    "access.jwt": JwtSettings,
    "deployments.busy": BusySettings,
    "deployments.steps": StepSettings,
    "deployments.restart": RestartSettings,
    "deployments.health": HealthSettings,
}
