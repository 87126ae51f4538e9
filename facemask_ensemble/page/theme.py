"""The colours and fonts of the page: those of the report, as a Gradio theme."""

from pathlib import Path

import gradio as gr

STYLE = Path(__file__).parent / "page.css"
LETTERS = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans", "Arial", "sans-serif")
FIXED = ("ui-monospace", "SF Mono", "Cascadia Mono", "Menlo", "Consolas", "DejaVu Sans Mono", "monospace")
COLOURS = {
    "body_background_fill": ("#fbfaf7", "#14171c"),
    "background_fill_primary": ("#ffffff", "#1c2027"),
    "background_fill_secondary": ("#fbfaf7", "#14171c"),
    "block_background_fill": ("#ffffff", "#1c2027"),
    "input_background_fill": ("#ffffff", "#1c2027"),
    "body_text_color": ("#1c222b", "#e9ebee"),
    "body_text_color_subdued": ("#5d6673", "#a8b0bb"),
    "border_color_primary": ("#e3e1da", "#2e343d"),
    "block_border_color": ("#e3e1da", "#2e343d"),
    "border_color_accent": ("#0072b2", "#5bb5ea"),
    "color_accent_soft": ("#e4f0f8", "#16303f"),
    "link_text_color": ("#0072b2", "#5bb5ea"),
    "loader_color": ("#0072b2", "#5bb5ea"),
    "button_primary_background_fill": ("#0072b2", "#5bb5ea"),
    "button_primary_text_color": ("#ffffff", "#0d1319"),
}


def theme() -> gr.themes.Base:
    """Make the theme with fonts of the machine; nothing is downloaded."""
    made = gr.themes.Base(font=LETTERS, font_mono=FIXED, radius_size="lg")
    both = {name: light for name, (light, _) in COLOURS.items()}
    return made.set(
        color_accent=COLOURS["border_color_accent"][0],
        **both,
        **{f"{name}_dark": dark for name, (_, dark) in COLOURS.items()},
    )
