//! The connection as the generated stubs see it: with the token, and with retries of what is free.

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use tonic::body::Body;
use tonic::{Code, Status};
use tower_service::Service;

use crate::backoff::Pace;
use crate::status;

/// The methods that declare that they may be called twice, from the API's descriptors; any other may cost money.
pub(crate) const FREE_METHODS: &[&str] = &include!(concat!(env!("OUT_DIR"), "/free_methods.rs"));

const GRPC_STATUS: &str = "grpc-status";
const TIMEOUT: &str = "grpc-timeout";
/// Milliseconds that a server asks to wait before the next try; anything else = do not try again.
const PUSHBACK: &str = "grpc-retry-pushback-ms";

const ATTEMPTS: u32 = 4;
const FIRST_DELAY: Duration = Duration::from_millis(200);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// A tonic channel for generated stubs, of any service. Every call carries the token, and methods that are free by the
/// API's own word are tried up to four times while the server is unavailable. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Channel {
    inner: tonic::transport::Channel,
    authorization: Option<HeaderValue>,
    pace: Pace,
}

impl Channel {
    pub(crate) fn new(inner: tonic::transport::Channel, authorization: Option<HeaderValue>, pace: Pace) -> Self {
        Self { inner, authorization, pace }
    }
}

type Answer = Result<Response<Body>, Box<dyn StdError + Send + Sync>>;

impl Service<Request<Body>> for Channel {
    type Response = Response<Body>;
    type Error = Box<dyn StdError + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx).map_err(|error| status::from_transport(error).into())
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let fresh = self.inner.clone();
        // The one that was polled is the one that is ready.
        let mut ready = std::mem::replace(&mut self.inner, fresh);
        if let Some(value) = &self.authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        let pace = self.pace;
        if FREE_METHODS.contains(&request.uri().path()) {
            Box::pin(async move { call_free(&mut ready, request, pace).await.map_err(Into::into) })
        } else {
            Box::pin(async move { call_once(&mut ready, request).await.map_err(Into::into) })
        }
    }
}

async fn call_once(channel: &mut tonic::transport::Channel, request: Request<Body>) -> Result<Response<Body>, Status> {
    poll_fn(|cx| channel.poll_ready(cx)).await.map_err(status::from_transport)?;
    let mut answer = channel.call(request).await.map_err(status::from_transport)?;
    status::mend_garbled(answer.headers_mut());
    if answer.status() != StatusCode::OK && !answer.headers().contains_key(GRPC_STATUS) {
        return Err(status::from_http(answer.status()));
    }
    Ok(answer.map(|body| {
        Body::new(body.map_err(status::told).map_frame(|mut frame| {
            if let Some(trailers) = frame.trailers_mut() {
                status::mend_garbled(trailers);
            }
            frame
        }))
    }))
}

/// As gRPC retries: while nothing but the status has come, within the call's time limit, as the server asks.
async fn call_free(
    channel: &mut tonic::transport::Channel,
    request: Request<Body>,
    pace: Pace,
) -> Result<Response<Body>, Status> {
    let started = Instant::now();
    let (mut head, body) = request.into_parts();
    let limit = head.headers.get(TIMEOUT).and_then(time_limit);
    let body = body.collect().await?.to_bytes();
    let mut delay = FIRST_DELAY;
    for attempt in 1..ATTEMPTS {
        let again = Request::from_parts(head.clone(), Body::new(Full::new(body.clone())));
        let answer = call_once(channel, again).await;
        let asked = match &answer {
            Ok(answer) if is_unavailable(answer.headers()) => answer.headers().get(PUSHBACK),
            Err(status) if status.code() == Code::Unavailable => None,
            _ => return answer,
        };
        let wait = match asked.map(|value| value.to_str().ok().and_then(|text| text.parse().ok())) {
            None => pace.some_of(delay, 0.8),
            Some(Some(asked)) => Duration::from_millis(asked),
            Some(None) => return answer, // the server asks for no retry
        };
        let rest = limit.map(|limit| limit.saturating_sub(started.elapsed() + wait));
        if rest == Some(Duration::ZERO) {
            return answer;
        }
        drop(answer);
        tokio::time::sleep(wait).await;
        if let Some(rest) = rest {
            head.headers.insert(TIMEOUT, timeout_header(rest));
        }
        head.headers.insert("grpc-previous-rpc-attempts", HeaderValue::from(attempt));
        delay = (delay * 2).min(LONGEST_DELAY);
    }
    call_once(channel, Request::from_parts(head, Body::new(Full::new(body)))).await
}

/// Whether the answer is nothing but the status UNAVAILABLE.
fn is_unavailable(headers: &HeaderMap) -> bool {
    headers.get(GRPC_STATUS).is_some_and(|code| Code::from_bytes(code.as_bytes()) == Code::Unavailable)
}

/// Writes the header grpc-timeout, which has room for eight digits.
fn timeout_header(limit: Duration) -> HeaderValue {
    let (number, unit) = match limit.as_millis() {
        short @ 0..100_000_000 => (short, 'm'),
        long => ((long / 1000).min(99_999_999), 'S'),
    };
    HeaderValue::try_from(format!("{number}{unit}")).unwrap_or(HeaderValue::from_static("0m"))
}

/// Reads the header grpc-timeout: a number and its unit.
fn time_limit(value: &HeaderValue) -> Option<Duration> {
    let (number, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
    let number: u32 = number.parse().ok()?;
    let unit = match unit {
        "H" => Duration::from_secs(3600),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    Some(unit * number)
}
