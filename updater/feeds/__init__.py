"""What clients get, in the words of stock updaters: one file an updater."""
