//! What a status says that the transport made: tonic's own words brought into line with those of other gRPC libraries.

use std::error::Error as StdError;
use std::sync::Arc;

use h2::Reason;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};
use tonic::metadata::MetadataMap;
use tonic::{Code, ConnectError, Status, TimeoutExpired};

type BoxError = Box<dyn StdError + Send + Sync>;

/// The trailer that holds a google.rpc.Status.
const DETAILS: HeaderName = HeaderName::from_static("grpc-status-details-bin");
/// What tonic reads as the status' message, encoded with percent signs.
const MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const CONTROLS_AND_PERCENT: &AsciiSet = &CONTROLS.add(b'%');

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

/// Makes a status readable for tonic: it would panic over details that are not base64, and take another code where the
/// message is not UTF-8.
pub(crate) fn mend_garbled(headers: &mut HeaderMap) {
    if let Some(value) = headers.get(DETAILS) {
        let alone = MetadataMap::from_headers(HeaderMap::from_iter([(DETAILS, value.clone())]));
        if alone.get_bin(DETAILS.as_str()).is_none_or(|value| value.to_bytes().is_err()) {
            headers.remove(DETAILS);
        }
    }
    if let Some(value) = headers.get(MESSAGE) {
        let message = percent_decode(value.as_bytes());
        if message.clone().decode_utf8().is_err() {
            let readable = utf8_percent_encode(&message.decode_utf8_lossy(), CONTROLS_AND_PERCENT).to_string();
            headers.remove(MESSAGE);
            headers.extend(HeaderValue::try_from(readable).ok().map(|value| (MESSAGE, value)));
        }
    }
}
