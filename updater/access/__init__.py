"""Access: API keys, people and their sessions, tokens, permissions and rate limits."""
