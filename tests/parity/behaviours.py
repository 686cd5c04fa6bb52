"""What a user of ProviderProtocol/ai may count on here: the list of behaviours, and the tests that show them.

`ROWS` are the twenty-two behaviours that the image interface of this service was held to from the start, in their
order; `DEPARTURES` are further ones. What one of them still lacks names the issue that brings it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

ISSUES: Mapping[str, str] = {
    "C": "retries and keys, resuming and detaching, inputs by URL and uploads, middleware",
    "E": "more hosted providers, among them another imagegen server",
}
"""Work that is still to come, by the letter of its issue."""


@dataclass(frozen=True)
class Behaviour:
    """What this service does, as "file.py::test" what shows it, and by issue what is still to come of it."""

    says: str
    tests: tuple[str, ...] = ()
    later: Mapping[str, str] = field(default_factory=dict)


def _in(file: str, *tests: str) -> tuple[str, ...]:
    return tuple(f"test_{file}.py::test_{test}" for test in tests)


ROWS: Mapping[int, Behaviour] = {
    1: Behaviour(
        "Previews, the image, its usage and what the vendor decided come through from drawing and editing streams.",
        _in("streams", "previews_image_usage_and_what_was_decided_come_through"),
    ),
    2: Behaviour(
        "A stream that tells an error, ends early or cannot be read fails with its reason; no preview is a result.",
        _in(
            "streams",
            "an_error_inside_a_stream_ends_the_call_with_its_reason",
            "a_stream_without_its_finished_image_is_an_error",
            "a_malformed_event_is_the_providers_fault",
        ),
    ),
    3: Behaviour(
        "A cancel works until the last byte, reaches the provider's socket within 100 ms, and no event follows.",
        _in(
            "cancelling",
            "cancelling_a_unary_call_in_mid_body_closes_the_providers_socket",
            "cancelling_a_stream_after_a_preview_closes_the_providers_socket",
            "no_event_follows_an_abort",
        ),
        {"C": "on_abort"},
    ),
    4: Behaviour(
        "The deadline and the provider's time limit cover the whole exchange, the body included.",
        _in("cancelling", "the_providers_timeout_covers_the_body", "the_callers_deadline_covers_the_body"),
    ),
    5: Behaviour(
        "A generation runs by itself: the result needs no reader of events, and a unary call is the stream drained.",
        _in("streams", "the_result_comes_without_reading_events", "a_unary_call_is_its_stream_read_to_the_end"),
    ),
    6: Behaviour(
        "Leaving a stream early stops the generation, and everybody who waits for it hears of that.",
        _in("cancelling", "leaving_the_loop_early_stops_the_generation", "dropping_a_stream_stops_the_generation"),
        {"C": "leaving as a detach; hooks"},
    ),
    7: Behaviour(
        "One failure is told once, and leaves neither a task nor an exception behind.",
        _in("cancelling", "one_failure_is_told_once"),
        {"C": "once to each middleware"},
    ),
    8: Behaviour(
        "An edit has the options, warnings, cancellation and streaming of a generation; every parameter is sent.",
        (
            *_in(
                "edits",
                "every_option_and_param_of_an_edit_reaches_the_provider",
                "every_option_and_param_of_a_generation_reaches_the_provider",
                "edits_and_generations_warn_alike",
                "a_mask_is_sent_with_the_image",
            ),
            *_in("streams", "previews_image_usage_and_what_was_decided_come_through"),
            *_in(
                "cancelling",
                "cancelling_a_unary_call_in_mid_body_closes_the_providers_socket",
                "cancelling_a_stream_after_a_preview_closes_the_providers_socket",
            ),
        ),
        {"C": "middleware"},
    ),
    9: Behaviour(
        "An input that the server cannot take is told by its field, and not as a failure of the provider.",
        _in("errors", "an_input_by_url_is_refused_by_name"),
        {"C": "fetching inputs by URL, and INPUT_NOT_FETCHED"},
    ),
    10: Behaviour("A token bucket is refilled by time alone.", later={"C": "token_bucket"}),
    11: Behaviour("Every retry waits as long as the provider asked, and never past the limit.", later={"C": "retries"}),
    12: Behaviour("A key is chosen for each attempt; a refused one is left for the next.", later={"C": "keys"}),
    13: Behaviour(
        "A picture that was refused or is missing is a failure with its index; no answer is a success without images.",
        _in(
            "errors",
            "an_image_that_moderation_refused_is_a_failure_beside_the_others",
            "all_images_refused_by_moderation_is_that_error",
            "an_image_that_is_missing_is_a_failure_with_its_index",
            "an_answer_without_an_image_is_an_error",
        ),
        {"E": "google, whose answers mix pictures with refusals"},
    ),
    14: Behaviour(
        "The vendor's own code decides before the HTTP status; moderation and used-up quota are never tried again.",
        (
            *_in("errors", "the_body_decides_before_the_status"),
            *_in("streams", "an_error_inside_a_stream_ends_the_call_with_its_reason"),
        ),
    ),
    15: Behaviour(
        "The media type is read from the bytes, for results, previews and inputs.",
        _in(
            "images",
            "the_media_type_is_read_from_the_bytes",
            "the_media_type_of_a_preview_is_read_from_its_bytes",
            "the_declared_type_of_an_input_is_a_hint",
        ),
    ),
    16: Behaviour("on_stream_event filters, replaces and adds; on_stream_end runs.", later={"C": "middleware"}),
    17: Behaviour(
        "An error crosses the wire with its reason, provider and wait, in every form of call.",
        _in("errors", "an_error_crosses_the_wire_whole"),
        {"E": "through another imagegen server as provider"},
    ),
    18: Behaviour(
        "What on_response returns is what the caller gets; a cancel ends a wait before a retry at once.",
        later={"C": "middleware and retries"},
    ),
    19: Behaviour(
        "Capabilities are true for each model; too high a count is split or refused; unknown is absent; metadata has a "
        "name.",
        (
            *_in(
                "models",
                "capabilities_are_those_of_the_model",
                "an_edit_by_a_model_that_cannot_is_refused",
                "more_images_than_one_request_makes_are_asked_for_in_several",
                "more_images_than_the_server_takes_are_refused",
            ),
            *_in(
                "images",
                "width_and_height_are_read_from_the_bytes",
                "an_unknown_cost_is_absent",
                "metadata_stands_under_the_providers_name_everywhere",
            ),
        ),
        {"E": "the models of more providers"},
    ),
    20: Behaviour(
        "Pictures travel as bytes, at every step.",
        _in(
            "images",
            "images_travel_as_bytes",
            "an_input_reaches_the_provider_as_bytes",
            "no_field_of_the_api_carries_an_image_as_text",
        ),
    ),
    21: Behaviour(
        "A wait that is known is told, and no reason is lost on the way.",
        _in("errors", "a_known_wait_is_told", "no_reason_is_lost_on_the_way"),
    ),
    22: Behaviour(
        "A silent generation sends a heartbeat at least every 10 seconds, and a client that leaves stops it.",
        _in(
            "cancelling",
            "a_silent_generation_shows_that_it_lives",
            "a_heartbeat_comes_every_ten_seconds_at_least",
        ),
        {"C": "a client that leaves a detached generation"},
    ),
}

DEPARTURES: Mapping[str, Behaviour] = {
    "the vendor's own events are read": ROWS[1],
    "server-sent events are read as their standard writes them": Behaviour(
        "Any line end, no space after the colon, and a last line without newline.",
        _in("streams", "events_are_read_as_the_standard_writes_them", "a_last_line_without_newline_counts"),
    ),
    "every event has the type of its picture": ROWS[15],
    "edits take several images and all parameters": Behaviour(
        "Each input is sent as what it is, with every parameter that the vendor has.",
        _in(
            "edits",
            "an_edit_takes_several_images",
            "a_mask_is_sent_with_the_image",
            "every_option_and_param_of_an_edit_reaches_the_provider",
        ),
    ),
    "the form of the vendor's answer is the server's business": Behaviour(
        "response_format is never sent to a model that refuses it, and refused by name where a caller gives it.",
        _in(
            "edits",
            "the_form_of_the_answer_is_not_the_callers",
            "every_option_and_param_of_a_generation_reaches_the_provider",
        ),
    ),
    "only models that edit are asked to": Behaviour(
        "A model that never edited says so, and an edit by it costs nothing.",
        _in("models", "capabilities_are_those_of_the_model", "an_edit_by_a_model_that_cannot_is_refused"),
    ),
    "one status, several meanings": Behaviour(
        "A 400 is what its code says; a 413 without a code is a request of which the model takes less.",
        _in("errors", "the_body_decides_before_the_status", "too_large_a_body_is_more_than_the_model_takes"),
    ),
    "a cancel is no error": Behaviour("A cancelled call runs on_abort, and not on_error.", later={"C": "middleware"}),
    "a finished image is not lost": Behaviour(
        "Whatever fails after the picture came, the picture is handed out.",
        _in("images", "a_finished_image_is_not_lost_to_what_comes_after_it"),
        {"C": "an exception in a hook"},
    ),
    "a second reader reads the same generation": Behaviour(
        "Reading again asks nobody again.",
        _in("streams", "a_second_reader_reads_the_same_generation"),
        {"C": "Resume, and joining by request_id"},
    ),
    "on_request sees what is sent": Behaviour("What it changes is sent, in every form.", later={"C": "middleware"}),
    "every accepted setting has an effect": Behaviour(
        "Settings hold for drawing, streaming and editing; one that nothing reads is refused at the start.",
        (
            *_in(
                "settings",
                "organization_project_key_and_base_url_have_their_effect",
                "the_proxy_has_its_effect",
                "a_setting_without_effect_is_refused",
            ),
            *_in("cancelling", "the_providers_timeout_covers_the_body"),
        ),
        {"E": "the settings of more providers"},
    ),
    "clear text is warned of on every path": Behaviour(
        "An address that is neither encrypted nor this machine is warned of at the start, before any call.",
        _in("settings", "an_insecure_address_is_warned_of_before_any_call"),
    ),
    "an empty key is no key": Behaviour(
        "A provider whose key is empty is not set up.",
        _in("settings", "an_empty_key_is_no_key", "an_empty_key_beside_a_table_is_told_at_the_start"),
    ),
    "header names compare without case": Behaviour(
        "A configured header replaces the server's own.", _in("settings", "headers_are_compared_without_case")
    ),
}
