"""What exists: applications, releases, builds and their files; and the one way in."""
