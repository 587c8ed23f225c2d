"""`python -m l2t_hub.cli`: the `l2t` command without its script."""

from l2t_hub.cli.app import main

main()
