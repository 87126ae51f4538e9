"""The float32 twin of a classifier that was trained in half precision."""

import keras


def computes_in_half(model: keras.Model) -> bool:
    """Tell whether any layer computes in less than float32."""
    return any(layer.compute_dtype != "float32" for layer in model.layers)


def float32_twin(model: keras.Model) -> keras.Model:
    """Copy a classifier's graph and weights with every layer computing in float32; one that does so is returned as is.

    Weights are kept in float32 under Keras's mixed policies, so that nothing is lost but the rounding between layers.
    """
    if not computes_in_half(model):
        return model
    twin = keras.models.clone_model(model, clone_function=_in_float32)
    twin.set_weights(model.get_weights())
    for layer in twin.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with copies of its weights
    return twin


def _in_float32(layer: keras.Layer) -> keras.Layer:
    config = layer.get_config()
    if not isinstance(layer, keras.layers.InputLayer):
        config["dtype"] = "float32"
    return type(layer).from_config(config)
