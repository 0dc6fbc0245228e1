"""The versions in the audit that are the one somebody asks for, however they are spelt there."""

from __future__ import annotations

from collections.abc import Iterable

from updater.audit.service import AuditService
from updater.catalog.versions import Scheme, is_spelling, parse_version, spelling_patterns


async def find_spellings(
    audit: AuditService, version: str, schemes: Iterable[Scheme], application_id: str | None
) -> tuple[str, ...]:
    """Return `version` and the texts in the audit that equal it by one of the schemes, in the order of the texts.

    Args:
        audit: where to look.
        version: any text; one that is no version of a scheme equals nothing by it.
        schemes: those of the applications that are meant.
        application_id: only the rows of this application; None for all rows.
    """
    found = {version}
    for scheme in schemes:
        try:
            wanted = parse_version(version, scheme)
        except ValueError:
            continue
        exact, pattern = spelling_patterns(wanted, scheme)
        texts = await audit.list_versions(application_id, (wanted.text, exact), pattern)
        found.update(text for text in texts if is_spelling(text, wanted, scheme))
    return tuple(sorted(found))
