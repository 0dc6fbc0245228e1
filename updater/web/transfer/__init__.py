"""Files in and out: streamed uploads; ranged, conditional downloads."""
