"""What a user of ProviderProtocol/ai may count on here: the list of behaviours, and the tests that show them.

`ROWS` are the twenty-two behaviours that the image interface of this service was held to from the start, in their
order; departures.py has further ones. What one of them still lacks names the issue that brings it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

ISSUES: Mapping[str, str] = {
    "E": "more hosted providers",
}
"""Work that is still to come, by the letter of its issue."""


@dataclass(frozen=True)
class Behaviour:
    """What this service does, as "file.py::test" what shows it, and by issue what is still to come of it."""

    says: str
    tests: tuple[str, ...] = ()
    later: Mapping[str, str] = field(default_factory=dict)


def shown_by(file: str, *tests: str) -> tuple[str, ...]:
    """Name the tests of one file that show it."""
    return tuple(f"test_{file}.py::test_{test}" for test in tests)


ABORTED = shown_by("middleware", "a_cancel_is_told_by_on_abort_and_not_as_an_error", "abort_is_told_by_on_abort")

ROWS: Mapping[int, Behaviour] = {
    1: Behaviour(
        "Previews, the image, its usage and what the vendor decided come through from drawing and editing streams.",
        shown_by("streams", "previews_image_usage_and_what_was_decided_come_through"),
    ),
    2: Behaviour(
        "A stream that tells an error, ends early or cannot be read fails with its reason; no preview is a result.",
        shown_by(
            "streams",
            "an_error_inside_a_stream_ends_the_call_with_its_reason",
            "a_stream_without_its_finished_image_is_an_error",
            "a_malformed_event_is_the_providers_fault",
        ),
    ),
    3: Behaviour(
        "A cancel works until the last byte, reaches the provider's socket within 100 ms, and no event follows.",
        (
            *shown_by(
                "cancelling",
                "cancelling_a_unary_call_in_mid_body_closes_the_providers_socket",
                "cancelling_a_stream_after_a_preview_closes_the_providers_socket",
                "no_event_follows_an_abort",
            ),
            *ABORTED,
        ),
    ),
    4: Behaviour(
        "The deadline and the provider's time limit cover the whole exchange, the body included.",
        shown_by("cancelling", "the_providers_timeout_covers_the_body", "the_callers_deadline_covers_the_body"),
    ),
    5: Behaviour(
        "A generation runs by itself: the result needs no reader of events, and a unary call is the stream drained.",
        shown_by("streams", "the_result_comes_without_reading_events", "a_unary_call_is_its_stream_read_to_the_end"),
    ),
    6: Behaviour(
        "Leaving early is a cancel or a detach, as was declared; hooks run, and everybody who waits hears of it.",
        (
            *shown_by(
                "cancelling", "leaving_the_loop_early_stops_the_generation", "dropping_a_stream_stops_the_generation"
            ),
            *shown_by(
                "readers",
                "leaving_is_a_detach_where_that_was_declared",
                "a_detached_generation_ends_without_any_reader",
                "a_request_id_with_cancel_is_stopped_by_leaving",
                "of_two_readers_the_last_one_to_leave_stops_it",
            ),
            *ABORTED,
        ),
    ),
    7: Behaviour(
        "One failure is told once, also to each middleware, and leaves neither a task nor an exception behind.",
        (
            *shown_by("cancelling", "one_failure_is_told_once"),
            *shown_by("middleware", "one_failure_is_told_once_to_each_middleware"),
        ),
    ),
    8: Behaviour(
        "An edit has the options, warnings, hooks, cancellation and stream of a generation; every parameter is sent.",
        (
            *shown_by(
                "edits",
                "every_option_and_param_of_an_edit_reaches_the_provider",
                "every_option_and_param_of_a_generation_reaches_the_provider",
                "edits_and_generations_warn_alike",
                "a_mask_is_sent_with_the_image",
            ),
            *shown_by("streams", "previews_image_usage_and_what_was_decided_come_through"),
            *shown_by(
                "cancelling",
                "cancelling_a_unary_call_in_mid_body_closes_the_providers_socket",
                "cancelling_a_stream_after_a_preview_closes_the_providers_socket",
            ),
            *shown_by(
                "middleware",
                "every_form_runs_the_same_hooks_once",
                "a_cancel_is_told_by_on_abort_and_not_as_an_error",
                "on_request_sees_and_changes_what_is_sent",
            ),
        ),
    ),
    9: Behaviour(
        "An input by URL is fetched by the server; one that cannot be is told by its field, and is no failure of the "
        "provider.",
        shown_by(
            "inputs",
            "an_input_by_url_is_fetched_by_the_server",
            "an_input_that_cannot_be_fetched_is_told_by_its_field",
            "a_malformed_url_is_the_requests_fault",
            "what_is_fetched_and_no_picture_is_told_by_its_field",
            "one_failing_input_of_several_is_the_one_that_is_named",
            "an_earlier_picture_is_an_input",
            "a_picture_that_is_not_there_any_more_is_told_by_its_field",
        ),
    ),
    10: Behaviour(
        "A token bucket is refilled by time alone.", shown_by("retries", "a_token_bucket_is_refilled_by_time_alone")
    ),
    11: Behaviour(
        "Every retry waits as long as the provider asked, and never past the limit.",
        shown_by(
            "retries",
            "what_was_refused_for_now_is_asked_again",
            "every_strategy_waits_as_long_as_the_vendor_asks",
            "no_delay_exceeds_the_limit",
            "a_longer_wait_is_told_instead_of_waited_for",
            "the_wait_of_the_last_attempt_is_told",
            "a_deadline_that_comes_before_the_next_request_is_not_waited_for",
        ),
    ),
    12: Behaviour(
        "A key is chosen for each attempt; a refused, exhausted or limited one is left for the next.",
        shown_by(
            "keys",
            "a_refused_key_is_left_for_the_next",
            "a_limited_or_exhausted_key_is_left_for_the_next",
            "the_attempts_tell_of_both_keys",
            "a_key_is_chosen_for_each_request",
            "when_no_key_is_good_the_call_says_so",
            "a_key_that_was_renewed_is_used_at_once",
            "a_single_key_that_is_refused_is_tried_once",
        ),
    ),
    13: Behaviour(
        "A picture that was refused or is missing is a failure with its index; no answer is a success without images.",
        shown_by(
            "errors",
            "an_image_that_moderation_refused_is_a_failure_beside_the_others",
            "all_images_refused_by_moderation_is_that_error",
            "an_image_that_is_missing_is_a_failure_with_its_index",
            "an_answer_without_an_image_is_an_error",
            "of_google_too_one_refusal_costs_one_image",
        ),
    ),
    14: Behaviour(
        "The vendor's own code decides before the HTTP status; moderation and used-up quota are never tried again.",
        (
            *shown_by("errors", "the_body_decides_before_the_status"),
            *shown_by("streams", "an_error_inside_a_stream_ends_the_call_with_its_reason"),
            *shown_by(
                "retries",
                "moderation_is_never_asked_again",
                "used_up_quota_is_asked_again_with_another_key_alone",
            ),
        ),
    ),
    15: Behaviour(
        "The media type is read from the bytes, for results, previews and inputs.",
        shown_by(
            "images",
            "the_media_type_is_read_from_the_bytes",
            "the_media_type_of_a_preview_is_read_from_its_bytes",
            "the_declared_type_of_an_input_is_a_hint",
        ),
    ),
    16: Behaviour(
        "on_stream_event filters, replaces and adds, but loses no finished image; on_stream_end runs once.",
        shown_by(
            "hook_answers",
            "on_stream_event_filters_replaces_and_adds_previews",
            "a_finished_image_cannot_be_dropped",
            "on_stream_end_runs_once_whatever_the_outcome",
        ),
    ),
    17: Behaviour(
        "An error crosses the wire with its reason, provider and wait, in every form and through other servers.",
        shown_by("errors", "an_error_crosses_the_wire_whole", "an_error_crosses_another_server_whole"),
    ),
    18: Behaviour(
        "What on_response leaves is what the caller gets; a cancel ends a wait before a retry at once.",
        (
            *shown_by("hook_answers", "what_on_response_leaves_is_what_every_reader_gets"),
            *shown_by(
                "retries",
                "a_cancel_ends_a_back_off_at_once",
                "hanging_up_ends_a_back_off_at_once",
                "abort_ends_a_back_off_at_once",
            ),
        ),
    ),
    19: Behaviour(
        "Capabilities are true for each model; too high a count is split or refused; unknown is absent; metadata has a "
        "name.",
        (
            *shown_by(
                "models",
                "capabilities_are_those_of_the_model",
                "an_edit_by_a_model_that_cannot_is_refused",
                "more_images_than_one_request_makes_are_asked_for_in_several",
                "more_images_than_the_server_takes_are_refused",
            ),
            *shown_by(
                "images",
                "width_and_height_are_read_from_the_bytes",
                "an_unknown_cost_is_absent",
                "metadata_stands_under_the_providers_name_everywhere",
            ),
        ),
    ),
    20: Behaviour(
        "Pictures travel as bytes, at every step.",
        shown_by(
            "images",
            "images_travel_as_bytes",
            "an_input_reaches_the_provider_as_bytes",
            "no_field_of_the_api_carries_an_image_as_text",
        ),
    ),
    21: Behaviour(
        "A wait that is known is told, and no reason is lost on the way.",
        shown_by("errors", "a_known_wait_is_told", "no_reason_is_lost_on_the_way"),
    ),
    22: Behaviour(
        "A silent generation sends a heartbeat at least every 10 seconds; a client that leaves stops it or, if it is "
        "detached, lets it go on.",
        (
            *shown_by(
                "cancelling",
                "a_silent_generation_shows_that_it_lives",
                "a_heartbeat_comes_every_ten_seconds_at_least",
            ),
            *shown_by("retries", "a_back_off_shows_that_it_lives"),
            *shown_by(
                "readers",
                "a_silent_detached_generation_shows_whoever_comes_back_that_it_lives",
                "leaving_is_a_detach_where_that_was_declared",
                "a_request_id_with_cancel_is_stopped_by_leaving",
                "cancel_stops_a_detached_generation",
                "a_readers_deadline_does_not_end_a_detached_generation",
            ),
        ),
    ),
}
