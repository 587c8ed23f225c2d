"""The loss curves of a run as a picture. They need matplotlib, which comes with the extra `l2t_hub[plots]`."""

from collections.abc import Sequence
from pathlib import Path

from l2t_hub.train.training_log import Record

PLOT = "loss.png"


def plot_losses(log: Sequence[Record], name: str, path: Path) -> None:
    """Draw training and validation loss (nats per token) over the tokens seen, and save a PNG as `path`."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"axes.spines.top": False, "axes.spines.right": False, "axes.axisbelow": True}):
        figure = Figure(figsize=(7, 4), layout="constrained")
        axes = figure.subplots()
        for key, label, colour, marker in (
            ("loss", "training (mean since the last point)", "#0072B2", ""),
            ("eval_loss", "validation", "#D55E00", "o"),
        ):
            points = [(record["tokens"], record[key]) for record in log if key in record]
            if points:
                axes.plot(*zip(*points, strict=True), label=label, color=colour, marker=marker, markersize=4)
        axes.set(xlabel="tokens seen", ylabel="loss (nats per token)", title=name)
        axes.xaxis.set_major_formatter(mpl.ticker.EngFormatter(sep=""))
        axes.grid(color="#e6e6e6")
        axes.legend(frameon=False)
        figure.savefig(path, dpi=150, metadata={"Software": None})
