"""The `l2t` command and `python -m l2t_hub.cli`: what a signal does is settled before anything else is imported."""

from l2t_hub.interruption import catch_signals, end_interrupted


def main() -> None:
    """Run the command and exit."""
    try:
        catch_signals()
        from l2t_hub.cli.app import main as run

        run()
    except KeyboardInterrupt as stop:
        end_interrupted(stop)


if __name__ == "__main__":
    main()
