"""How every plot looks."""

from matplotlib.axes import Axes

# Okabe and Ito's colours, told apart by colour-blind readers.
BLUE, ORANGE, VERMILLION, GREY, INK = "#0072B2", "#E69F00", "#D55E00", "#8A8F98", "#1D2430"


def finish(axes: Axes, title: str, grid: str, size: int = 12) -> None:
    """Give a plot its title, and a grid of x or y lines behind what is drawn."""
    axes.set_title(plain(title), fontsize=size, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color="#E3E6EA", linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def plain(text: str) -> str:
    """Keep Matplotlib from reading dollar signs as formulas."""
    return text.replace("$", r"\$")
