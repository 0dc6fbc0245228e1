"""Who changed what: one chain of rows, written in the transactions of the changes themselves."""
