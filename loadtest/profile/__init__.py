"""Where the CPU time of a job goes."""
