"""An ensemble that answers others: images that come from outside, and what serves them."""
