"""The desktop update API of document 002, mounted by the settings. `routes` has all routes on one screen."""
