"""Further behaviours that a user of ProviderProtocol/ai may count on here, beside the rows of behaviours.py."""

from collections.abc import Mapping

from tests.parity.behaviours import ABORTED, ROWS, Behaviour, shown_by

DEPARTURES: Mapping[str, Behaviour] = {
    "the vendor's own events are read": ROWS[1],
    "server-sent events are read as their standard writes them": Behaviour(
        "Any line end, no space after the colon, and a last line without newline.",
        shown_by("streams", "events_are_read_as_the_standard_writes_them", "a_last_line_without_newline_counts"),
    ),
    "every event has the type of its picture": ROWS[15],
    "edits take several images and all parameters": Behaviour(
        "Each input is sent as what it is, with every parameter that the vendor has.",
        shown_by(
            "edits",
            "an_edit_takes_several_images",
            "a_mask_is_sent_with_the_image",
            "every_option_and_param_of_an_edit_reaches_the_provider",
        ),
    ),
    "the form of the vendor's answer is the server's business": Behaviour(
        "response_format is never sent to a model that refuses it, and refused by name where a caller gives it.",
        shown_by(
            "edits",
            "the_form_of_the_answer_is_not_the_callers",
            "every_option_and_param_of_a_generation_reaches_the_provider",
        ),
    ),
    "only models that edit are asked to": Behaviour(
        "A model that never edited says so, and an edit by it costs nothing.",
        shown_by("models", "capabilities_are_those_of_the_model", "an_edit_by_a_model_that_cannot_is_refused"),
    ),
    "one status, several meanings": Behaviour(
        "A 400 is what its code says; a 413 without a code is a request of which the model takes less.",
        shown_by("errors", "the_body_decides_before_the_status", "too_large_a_body_is_more_than_the_model_takes"),
    ),
    "a cancel is no error": Behaviour("A cancelled call runs on_abort, and not on_error.", ABORTED),
    "a finished image is not lost": Behaviour(
        "Whatever fails after the picture came, the picture is handed out.",
        (
            *shown_by("images", "a_finished_image_is_not_lost_to_what_comes_after_it"),
            *shown_by("hook_answers", "a_finished_image_is_not_lost_to_a_hook"),
        ),
    ),
    "a second reader reads the same generation": Behaviour(
        "Reading again asks nobody again.",
        (
            *shown_by("streams", "a_second_reader_reads_the_same_generation"),
            *shown_by("readers", "the_same_request_again_asks_nobody_again", "a_second_reader_sees_the_same_events"),
        ),
    ),
    "on_request sees what is sent": Behaviour(
        "What it changes is sent, in every form, and inputs by URL are there for it to see.",
        (
            *shown_by("middleware", "on_request_sees_and_changes_what_is_sent"),
            *shown_by("inputs", "on_request_sees_what_was_fetched"),
        ),
    ),
    "only what is free is asked again": Behaviour(
        "A request that may have been billed is repeated only if the operator or the caller says so.",
        shown_by("retries", "what_may_have_been_billed_is_repeated_only_if_somebody_says_so", "no_strategy_asks_once"),
    ),
    "every accepted setting has an effect": Behaviour(
        "Settings hold for drawing, streaming and editing; one that nothing reads is refused at the start.",
        (
            *shown_by(
                "settings",
                "organization_project_key_and_base_url_have_their_effect",
                "the_proxy_has_its_effect",
                "the_limits_of_a_provider_have_their_effect",
                "the_position_of_a_call_that_waits_is_told",
                "what_stands_for_the_strategies_is_a_setting",
                "a_setting_without_effect_is_refused",
            ),
            *shown_by("keys", "weights_have_their_effect"),
            *shown_by("cancelling", "the_providers_timeout_covers_the_body"),
        ),
        {"E": "the settings of more providers"},
    ),
    "clear text is warned of on every path": Behaviour(
        "An address that is neither encrypted nor this machine is warned of at the start, before any call.",
        shown_by("settings", "an_insecure_address_is_warned_of_before_any_call"),
    ),
    "an empty key is no key": Behaviour(
        "A provider whose key is empty is not set up.",
        (
            *shown_by("settings", "an_empty_key_is_no_key", "an_empty_key_beside_a_table_is_told_at_the_start"),
            *shown_by("keys", "a_key_that_has_become_empty_is_no_key"),
        ),
    ),
    "header names compare without case": Behaviour(
        "A configured header replaces the server's own.", shown_by("settings", "headers_are_compared_without_case")
    ),
}
