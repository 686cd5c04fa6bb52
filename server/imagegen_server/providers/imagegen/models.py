"""What the other server's models can do."""

import imagegen

from imagegen_server.domain.capabilities import Capabilities, Model, PreviewSupport


def unknown_model(model_id: str) -> Model:
    """Stand for a model that the other server was not asked about: it will tell itself what it cannot do."""
    return Model(model_id, Capabilities(edits_without_words=True), known=False)


def model_of(told: imagegen.ModelInfo, model_id: str) -> Model:
    """Take over what the other server says of a model, under the name it was asked for by.

    It does not say whether a model edits without words, and so it is left to it.
    """
    can = told.capabilities
    return Model(
        id=model_id,
        display_name=told.display_name,
        known=told.known,
        retire_time=told.retire_time,
        capabilities=Capabilities(
            generate=can.generate,
            streaming=can.streaming,
            edit=can.edit,
            max_images=can.max_images,
            max_count=can.max_count,
            max_input_images=can.max_input_images,
            mask=can.mask,
            previews=PreviewSupport[can.previews.upper()],
            edits_without_words=True,
            options=frozenset(can.options) or None,
            sizes=can.sizes,
            aspect_ratios=can.aspect_ratios,
            resolutions=can.resolutions,
            qualities=can.qualities,
            backgrounds=can.backgrounds,
            formats=can.formats,
        ),
    )


def models_of(told: imagegen.ModelInfo) -> list[Model]:
    """List a model by its name and by its aliases there."""
    return [model_of(told, name) for name in (told.name, *told.aliases)]
