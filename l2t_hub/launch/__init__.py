"""Training that runs elsewhere: as a Slurm job or a Hugging Face Job, with the command that trains here."""
