"""Pictures of all pages with real data: `scripts/screenshots`."""
