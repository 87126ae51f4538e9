"""Make one flat graph of a network with nested networks, such as Keras's ConvNeXt."""

from typing import Any

import keras


def flatten(model: keras.Model) -> keras.Model:
    """Replace nested networks by their layers; a network without any is returned unchanged.

    What looks at a classifier layer by layer (precision, freezing, blocks, new weights) then sees all of them.

    Args:
        model: functional, perhaps with `Sequential` or functional models among its layers.

    Returns:
        A copy on the same input with the same weights.
    """
    if not any(isinstance(layer, keras.Model) for layer in model.layers):
        return model
    copies = _Copies({layer.name for layer in model.layers})
    flat = keras.models.clone_model(
        model, input_tensors=model.input, clone_function=copies.copy, call_function=copies.call
    )
    copies.set_weights()
    return flat


class _Copies:
    """Copies of layers, one of each however often it is called; `names` are taken."""

    def __init__(self, names: set[str]) -> None:
        self._names = names
        self._copies: dict[int, tuple[Any, Any]] = {}

    def copy(self, layer: Any, inside: str = "") -> Any:
        """Copy a layer, or an operation that is none; a nested network comes apart when it is called."""
        if isinstance(layer, keras.Model):
            return layer
        if id(layer) not in self._copies:
            saved = layer.get_config()
            if inside:
                saved["name"] = self._unique(layer.name, inside)
            self._copies[id(layer)] = layer, type(layer).from_config(saved)
        return self._copies[id(layer)][1]

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        """Call what `copy` gave."""
        if isinstance(layer, keras.Sequential):
            (maps,) = args
            for inner in layer.layers:
                maps = self.call(self.copy(inner, layer.name), maps)
            return maps
        if isinstance(layer, keras.Model):
            # As clone_model does, which would cut what it copies from the tensors that it is given.
            return layer._run_through_graph(args[0], lambda inner: self.copy(inner, layer.name), self.call)
        return layer(*args, **kwargs)

    def set_weights(self) -> None:
        """Give every copy the weights of its original."""
        for layer, copied in self._copies.values():
            if isinstance(layer, keras.layers.Layer):
                copied.set_weights(layer.get_weights())
            if isinstance(layer, keras.layers.Normalization):
                copied.finalize_state()  # it computes with copies of its weights

    def _unique(self, name: str, inside: str) -> str:
        if name in self._names:
            name = f"{inside}_{name}"
        self._names.add(name)
        return name
