"""The processes of one service: the parent, its workers, the sockets they share, the data folder they hold."""
