"""Who trains: one process, worker processes of this machine, or those of a cluster; all as `Workers`."""
