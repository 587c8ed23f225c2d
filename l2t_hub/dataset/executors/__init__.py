"""Where the partitions of a build run: on this machine, on a Slurm cluster or on Ray."""
