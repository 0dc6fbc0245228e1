"""tuspy: `python tus_app.py JSON`; prints one line of JSON.

In: {endpoint, key, file, chunk, metadata, retries}. Out: {url, error: text|null}.
"""

import json
import sys

from tusclient.client import TusClient

sys.setrecursionlimit(100_000)  # it tries again by calling itself
asked = json.loads(sys.argv[1])
client = TusClient(asked["endpoint"], headers={"Authorization": f"Bearer {asked['key']}"})
uploader = client.uploader(
    asked["file"],
    chunk_size=asked["chunk"],
    metadata=asked["metadata"],
    retries=asked["retries"],
    retry_delay=0.02,
)
error = None
try:
    uploader.upload()
except Exception as failure:
    error = f"{type(failure).__name__}: {failure} {getattr(failure, 'response_content', '')}"
print(json.dumps({"url": uploader.url, "error": error}))
