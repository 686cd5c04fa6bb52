//! What a status says that the transport made: tonic's own words brought into line with those of other gRPC libraries.

use std::error::Error as StdError;
use std::sync::Arc;

use h2::Reason;
use http::{HeaderMap, StatusCode};
use tonic::metadata::MetadataMap;
use tonic::{Code, ConnectError, Status, TimeoutExpired};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The trailer that holds a google.rpc.Status.
const DETAILS: &str = "grpc-status-details-bin";

/// The status for an error of the transport.
pub(crate) fn from_transport(error: impl Into<BoxError>) -> Status {
    told(Status::from_error(error.into()))
}

/// The same status with the code that gRPC has for it. tonic has UNKNOWN or CANCELLED for most of what may happen to a
/// connection, and CANCELLED for a deadline.
pub(crate) fn told(status: Status) -> Status {
    let Some(code) = code_of(&status) else { return status };
    let text = match chain(&status).last() {
        Some(deepest) if deepest.to_string() != status.message() => format!("{}: {deepest}", status.message()),
        _ => status.message().to_owned(),
    };
    let mut better = Status::with_metadata(code, text, status.metadata().clone());
    better.set_source(Arc::new(status));
    better
}

/// Whether the transport says that there never was a connection, so that no request can have left.
pub(crate) fn never_connected(status: &Status) -> bool {
    chain(status).any(|error| error.is::<ConnectError>())
}

/// Whether the deadline passed on this side.
fn expired(status: &Status) -> bool {
    chain(status).any(|error| error.is::<TimeoutExpired>())
}

fn code_of(status: &Status) -> Option<Code> {
    status.source()?; // a status without a source came over the wire
    if expired(status) {
        return Some(Code::DeadlineExceeded);
    }
    if never_connected(status) {
        return Some(Code::Unavailable);
    }
    let reset = chain(status)
        .filter_map(|error| error.downcast_ref::<h2::Error>())
        .find(|error| error.is_reset())
        .and_then(h2::Error::reason);
    match reset {
        Some(Reason::REFUSED_STREAM) => Some(Code::Unavailable),
        Some(Reason::CANCEL) => Some(Code::Cancelled),
        Some(Reason::ENHANCE_YOUR_CALM) => Some(Code::ResourceExhausted),
        Some(Reason::INADEQUATE_SECURITY) => Some(Code::PermissionDenied),
        Some(_) => Some(Code::Internal),
        // The connection went away under the call.
        None if matches!(status.code(), Code::Unknown | Code::Cancelled) => Some(Code::Unavailable),
        None => None,
    }
}

fn chain(status: &Status) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(status.source(), |error| (*error).source())
}

/// What an answer means that is not gRPC's, as gRPC's own table has it.
pub(crate) fn from_http(code: StatusCode) -> Status {
    let meaning = match code {
        StatusCode::BAD_REQUEST => Code::Internal,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::FORBIDDEN => Code::PermissionDenied,
        StatusCode::NOT_FOUND => Code::Unimplemented,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Code::Unavailable,
        _ => Code::Unknown,
    };
    Status::new(meaning, format!("the answer is not gRPC's: HTTP status {}", code.as_u16()))
}

/// Takes details away that are not base64: tonic would panic over them.
pub(crate) fn drop_garbled_details(headers: &mut HeaderMap) {
    let Some(value) = headers.get(DETAILS) else { return };
    let mut alone = HeaderMap::new();
    alone.insert(DETAILS, value.clone());
    let alone = MetadataMap::from_headers(alone);
    if alone.get_bin(DETAILS).is_none_or(|value| value.to_bytes().is_err()) {
        headers.remove(DETAILS);
    }
}
