"""Who trains: a thread of this process, worker processes of this machine, or those of a cluster; all as `Workers`."""
