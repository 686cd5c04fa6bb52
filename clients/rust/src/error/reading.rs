//! How an error is read from a gRPC status.
//!
//! What the server knows stands in the trailer grpc-status-details-bin (a google.rpc.Status). Proxies drop or replace
//! such trailers, so two plain ones repeat what matters most; and a status with none of them was made by a proxy or the
//! transport. Reading an error never fails.

use std::time::Duration;

use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};
use tonic_types::pb;

use super::{Error, FieldViolation, GENERATION_ID, Maker, Parts, REQUEST_ID};
use crate::status::never_connected;
use crate::v1::{Billed, ErrorReason, GenerationFailure};

const DOMAIN: &str = "imagegen";
const REASON: &str = "imagegen-reason";
const BILLED: &str = "imagegen-billed";

impl Error {
    /// Reads all that the end of an RPC tells.
    ///
    /// `initial` is the initial metadata, if any came apart from the status. `free`: the method never costs anything,
    /// so a status that says nothing about money means "no".
    pub(crate) fn from_status(status: Status, initial: Option<&MetadataMap>, free: bool) -> Self {
        let details = Details::of(&status);
        let told = details.info.metadata;
        let plain = plain_text(status.metadata(), REASON);
        let maker = if details.info.domain == DOMAIN || plain.is_some() { Maker::Server } else { Maker::Line };
        let reason = Some(details.info.reason).filter(|name| !name.is_empty()).or(plain);
        let billed = told.get("billed").and_then(|word| billed_word(word));
        let billed = billed.or_else(|| plain_text(status.metadata(), BILLED).and_then(|word| billed_word(&word)));
        let id = |failure: &str, key: &str, header: &str| {
            let told = [failure, told.get(key).map_or("", String::as_str)].into_iter().find(|id| !id.is_empty());
            let from = |map: &MetadataMap| plain_text(map, header);
            told.map(str::to_owned)
                .or_else(|| initial.and_then(from))
                .or_else(|| from(status.metadata()))
                .unwrap_or_default()
        };
        Self(Box::new(Parts {
            message: status.message().to_owned(),
            code: status.code(),
            reason: reason.unwrap_or_else(|| bare_reason(status.code()).to_owned()),
            billed: billed.unwrap_or(if free || never_connected(&status) { Billed::No } else { Billed::Unknown }),
            retry_delay: details.retry_delay,
            violations: details.violations,
            generation_id: id(&details.failure.generation_id, "generation_id", GENERATION_ID),
            request_id: id(&details.failure.request_id, "request_id", REQUEST_ID),
            failure: details.failure,
            metadata: told,
            maker,
            status: Some(status),
        }))
    }
}

/// What google.rpc.Status has, as far as it can be read and speaks of the failure at hand.
#[derive(Default)]
struct Details {
    info: pb::ErrorInfo,
    retry_delay: Option<Duration>,
    violations: Vec<FieldViolation>,
    failure: GenerationFailure,
}

impl Details {
    fn of(status: &Status) -> Self {
        let Ok(told) = pb::Status::decode(status.details()) else { return Self::default() };
        if told.code != status.code() as i32 {
            return Self::default();
        }
        let info: pb::ErrorInfo = detail(&told, "google.rpc.ErrorInfo");
        let retry: pb::RetryInfo = detail(&told, "google.rpc.RetryInfo");
        let request: pb::BadRequest = detail(&told, "google.rpc.BadRequest");
        let violations = request.field_violations.into_iter();
        Self {
            info: if info.domain == DOMAIN { info } else { pb::ErrorInfo::default() },
            retry_delay: retry.retry_delay.and_then(|delay| delay.try_into().ok()),
            violations: violations
                .map(|told| FieldViolation { field: told.field, description: told.description })
                .collect(),
            failure: detail(&told, "imagegen.v1.GenerationFailure"),
        }
    }
}

/// The first detail of this type; empty if there is none that can be read.
fn detail<T: Message + Default>(status: &pb::Status, name: &str) -> T {
    let mut packed = status.details.iter();
    packed
        .find(|any| any.type_url.rsplit('/').next() == Some(name))
        .and_then(|any| T::decode(&*any.value).ok())
        .unwrap_or_default()
}

/// What a bare status can be taken to say. Any other code says nothing about the reason.
fn bare_reason(code: Code) -> &'static str {
    let reason = match code {
        Code::Cancelled => ErrorReason::Cancelled,
        Code::DeadlineExceeded => ErrorReason::Timeout,
        Code::Unavailable => ErrorReason::NetworkError,
        Code::Unauthenticated => ErrorReason::CallerUnauthenticated,
        Code::PermissionDenied => ErrorReason::CallerNotAllowed,
        _ => return "",
    };
    reason.as_str_name()
}

/// The word in a trailer or in the metadata of ErrorInfo; None if it says nothing that is known.
fn billed_word(word: &str) -> Option<Billed> {
    match word {
        "no" => Some(Billed::No),
        "unknown" => Some(Billed::Unknown),
        "yes" => Some(Billed::Yes),
        _ => None,
    }
}

fn plain_text(metadata: &MetadataMap, key: &str) -> Option<String> {
    let value = metadata.get(key)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned()).filter(|text| !text.is_empty())
}
