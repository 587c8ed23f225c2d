"""`python -m l2t_hub.cli` is the `l2t` command."""

from l2t_hub.cli.app import main

main()
