"""Who trains: the schedule of a plan, workers of this machine, workers of a cluster."""
