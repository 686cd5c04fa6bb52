//! Errors are read from whatever came, and reading them never fails.

use std::collections::HashMap;
use std::error::Error as _;
use std::time::Duration;

use prost::Message;
use prost_types::Any;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};
use tonic_types::pb;

use crate::v1::{Attempt, Billed, ErrorReason, GenerationFailure, ImageFailure, ImageUsage};
use crate::{Error, FieldViolation};

fn any(name: &str, message: &impl Message) -> Any {
    Any { type_url: format!("type.googleapis.com/{name}"), value: message.encode_to_vec() }
}

pub fn info(reason: &str, metadata: &[(&str, &str)]) -> Any {
    let metadata = metadata.iter().map(|(key, value)| (key.to_string(), value.to_string()));
    let info = pb::ErrorInfo { reason: reason.into(), domain: "imagegen".into(), metadata: metadata.collect() };
    any("google.rpc.ErrorInfo", &info)
}

fn details(code: Code, details: Vec<Any>) -> Vec<u8> {
    pb::Status { code: code as i32, message: "text".into(), details }.encode_to_vec()
}

fn trailers(pairs: &[(&'static str, &str)]) -> MetadataMap {
    let mut map = MetadataMap::new();
    for (key, value) in pairs {
        map.insert(*key, MetadataValue::try_from(*value).unwrap());
    }
    map
}

fn status(code: Code, details: Vec<u8>, pairs: &[(&'static str, &str)]) -> Status {
    Status::with_details_and_metadata(code, "text", details.into(), trailers(pairs))
}

/// Everything that the details tell is in the error.
#[test]
fn details_are_read() {
    let failure = GenerationFailure {
        generation_id: "gen_f".into(),
        request_id: "req_f".into(),
        failures: vec![ImageFailure { index: 1, ..Default::default() }],
        attempts: vec![Attempt { provider: "openai".into(), ..Default::default() }],
        usage: Some(ImageUsage { images_generated: Some(1), ..Default::default() }),
    };
    let violation = |field: &str| pb::bad_request::FieldViolation {
        field: field.into(),
        description: format!("{field} is wrong"),
        ..Default::default()
    };
    let told = details(
        Code::ResourceExhausted,
        vec![
            info("ERROR_REASON_RATE_LIMITED", &[("provider", "openai"), ("model", "openai/x"), ("billed", "yes")]),
            any(
                "google.rpc.RetryInfo",
                &pb::RetryInfo { retry_delay: Some(prost_types::Duration { seconds: 2, nanos: 500_000_000 }) },
            ),
            any("google.rpc.BadRequest", &pb::BadRequest { field_violations: vec![violation("a"), violation("b")] }),
            any("imagegen.v1.GenerationFailure", &failure),
        ],
    );
    let error = Error::from_status(status(Code::ResourceExhausted, told, &[]), None, false);
    assert_eq!((error.code(), error.reason()), (Code::ResourceExhausted, ErrorReason::RateLimited));
    assert_eq!((error.provider(), error.model(), error.billed()), ("openai", "openai/x", Billed::Yes));
    assert_eq!(error.retry_delay(), Some(Duration::from_millis(2500)));
    let wrong = |field: &str| FieldViolation { field: field.into(), description: format!("{field} is wrong") };
    assert_eq!(error.violations(), [wrong("a"), wrong("b")]);
    assert_eq!((error.generation_id(), error.request_id()), ("gen_f", "req_f"));
    assert_eq!((error.failures()[0].index, error.attempts()[0].provider.as_str()), (1, "openai"));
    assert_eq!(error.usage().unwrap().images_generated, Some(1));
    assert_eq!(error.metadata()["model"], "openai/x");
    assert_eq!(error.to_string(), "RATE_LIMITED: text (a: a is wrong; b: b is wrong)");
    assert!(error.source().unwrap().is::<Status>());
    assert!(error.is_from_server() && !error.is_break() && !error.is_refused());
}

/// Ids come from GenerationFailure, else from ErrorInfo, else from the initial metadata.
#[test]
fn where_ids_come_from() {
    let initial = trailers(&[("imagegen-generation-id", "gen_m"), ("imagegen-request-id", "req_m")]);
    let ids = |details| {
        let error = Error::from_status(status(Code::Internal, details, &[]), Some(&initial), false);
        (error.generation_id().to_owned(), error.request_id().to_owned())
    };
    let told = info("ERROR_REASON_PROVIDER_ERROR", &[("generation_id", "gen_i")]);
    let failure = GenerationFailure { request_id: "req_f".into(), ..Default::default() };
    assert_eq!(ids(Vec::new()), ("gen_m".into(), "req_m".into()));
    assert_eq!(ids(details(Code::Internal, vec![told.clone()])), ("gen_i".into(), "req_m".into()));
    let both = vec![told, any("imagegen.v1.GenerationFailure", &failure)];
    assert_eq!(ids(details(Code::Internal, both)), ("gen_i".into(), "req_f".into()));
}

/// Details that are about another failure, of another domain or no details at all are nothing; the trailers count.
#[test]
fn trailers_count_where_details_do_not() {
    let pairs = [("imagegen-reason", "ERROR_REASON_TIMEOUT"), ("imagegen-billed", "no")];
    let told = vec![info("ERROR_REASON_RATE_LIMITED", &[("billed", "yes")])];
    let foreign = pb::ErrorInfo { reason: "OTHER".into(), domain: "example.com".into(), metadata: HashMap::new() };
    let broken = Any { type_url: "type.googleapis.com/google.rpc.ErrorInfo".into(), value: vec![0xff; 9] };
    for (case, details) in [
        ("another code", details(Code::ResourceExhausted, told)),
        ("garbled", vec![0xff, 0x01, 0x80]),
        ("garbled inside", details(Code::DeadlineExceeded, vec![broken])),
        ("another domain", details(Code::DeadlineExceeded, vec![any("google.rpc.ErrorInfo", &foreign)])),
        ("none", Vec::new()),
    ] {
        let error = Error::from_status(status(Code::DeadlineExceeded, details, &pairs), None, false);
        assert_eq!((error.reason(), error.billed()), (ErrorReason::Timeout, Billed::No), "{case}");
        assert!(error.is_from_server(), "{case}");
        assert!(error.metadata().is_empty(), "{case}");
    }
}

/// A bare status says what its code says; of money it says nothing, but for methods that are free.
#[test]
fn bare_statuses() {
    for code in (0..17).map(Code::from_i32) {
        let error = Error::from_status(Status::new(code, ""), None, false);
        let reason = match code {
            Code::Cancelled => "ERROR_REASON_CANCELLED",
            Code::DeadlineExceeded => "ERROR_REASON_TIMEOUT",
            Code::Unavailable => "ERROR_REASON_NETWORK_ERROR",
            Code::Unauthenticated => "ERROR_REASON_CALLER_UNAUTHENTICATED",
            Code::PermissionDenied => "ERROR_REASON_CALLER_NOT_ALLOWED",
            _ => "",
        };
        assert_eq!((error.reason_name(), error.billed()), (reason, Billed::Unknown), "{code:?}");
        let breaks = [Code::Unavailable, Code::Internal, Code::Unknown, Code::Cancelled];
        assert_eq!(error.is_break(), breaks.contains(&code), "{code:?}");
        assert_eq!(Error::from_status(Status::new(code, ""), None, true).billed(), Billed::No);
    }
}

/// A reason that is newer than the client keeps its name, and is to be treated as PROVIDER_ERROR.
#[test]
fn newer_reasons() {
    let error =
        Error::from_status(status(Code::Internal, vec![], &[("imagegen-reason", "ERROR_REASON_NEW")]), None, false);
    assert_eq!((error.reason_name(), error.reason()), ("ERROR_REASON_NEW", ErrorReason::ProviderError));
    assert_eq!(error.to_string(), "NEW: text");
}

/// What is refused here names the field and costs nothing.
#[test]
fn refusals() {
    let error = Error::refused("params.x", "params.x is no number");
    assert!(error.is_refused() && !error.is_break());
    assert_eq!((error.code(), error.billed()), (Code::InvalidArgument, Billed::No));
    assert_eq!(error.violations()[0].field, "params.x");
    assert_eq!(error.to_string(), "INVALID_REQUEST: params.x is no number (params.x)");
}

/// A result of this crate is no larger than a pointer more than its value, and its error may go anywhere.
#[test]
fn errors_are_small_and_mobile() {
    fn mobile<T: Send + Sync + Clone + 'static>() {}
    mobile::<Error>();
    assert_eq!(size_of::<Error>(), size_of::<usize>());
}
