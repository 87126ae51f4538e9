"""An ensemble that answers others: pictures that come from outside, and what serves them."""
