"""The settings: a frozen dataclass for each section, each setting declared once.

A declaration holds the default and the marshmallow field that checks a given value. `updater.config` reads the values.
"""

from updater.settings.checks import (
    OBJECT_STORE_SCHEMES,
)
from updater.settings.deployments import (
    STEP_COMMANDS,
    BusySettings,
    DeploymentSettings,
    HealthSettings,
    RestartSettings,
    StepSettings,
)
from updater.settings.sections import (
    LEVELS,
    LISTS,
    RECORDS,
    SECTIONS,
    AccessSettings,
    ApiKeySettings,
    DeployClaimSettings,
    DesktopSettings,
    FeedsSettings,
    JwtSettings,
    LoggingSettings,
    RateLimitSettings,
    RetentionSettings,
    ServerSettings,
    Settings,
    StorageSettings,
    TelemetrySettings,
)

__all__ = [
    "LEVELS",
    "LISTS",
    "OBJECT_STORE_SCHEMES",
    "RECORDS",
    "SECTIONS",
    "STEP_COMMANDS",
    "AccessSettings",
    "ApiKeySettings",
    "BusySettings",
    "DeployClaimSettings",
    "DeploymentSettings",
    "DesktopSettings",
    "FeedsSettings",
    "HealthSettings",
    "JwtSettings",
    "LoggingSettings",
    "RateLimitSettings",
    "RestartSettings",
    "RetentionSettings",
    "ServerSettings",
    "Settings",
    "StepSettings",
    "StorageSettings",
    "TelemetrySettings",
]
