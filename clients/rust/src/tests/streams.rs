//! Events and result, in any order; what is not read is held back.

use futures_util::StreamExt;
use tonic::Code;

use super::log::*;
use super::server::{Say, Server, message, ok};
use crate::v1::{ErrorReason, GenerateRequest};
use crate::{Event, ImageStream};

async fn stream(log: &Log) -> ImageStream {
    log.server.client().image("sandbox/scene").stream("a cat").await.unwrap()
}

/// Events first, then the result; the ids and the last sequence are those of the generation.
#[tokio::test]
async fn events_then_result() {
    let log = Log::start(long_log(), []).await;
    let mut stream = stream(&log).await;
    let mut events = 0;
    while let Some(event) = stream.next().await {
        event.unwrap();
        events += 1;
    }
    assert_eq!(events, 8);
    assert_eq!(stream.last_sequence(), long_log().last().unwrap().sequence);
    assert_eq!((stream.generation_id(), stream.request_id()), ("gen_1", "made-by-server"));
    assert_eq!(stream.result().await.unwrap().image().bytes(), Some(&large()));
}

/// The result first, then again, then the events: nothing is lost.
#[tokio::test]
async fn result_then_events() {
    let log = Log::start(long_log(), []).await;
    let mut stream = stream(&log).await;
    let result = stream.result().await.unwrap();
    assert_eq!(stream.result().await.unwrap(), result);
    let events: Vec<_> = StreamExt::map(&mut stream, Result::unwrap).collect().await;
    assert_eq!(events.len(), 8);
    assert!(matches!(&events[0], Event::Started(started) if started.generation_id == "gen_1"));
    assert!(stream.next().await.is_none());
}

/// Whoever looks at the result alone has the same.
#[tokio::test]
async fn result_alone() {
    let log = Log::start(long_log(), []).await;
    assert_eq!(stream(&log).await.into_result().await.unwrap().image().bytes(), Some(&large()));
    let mut read = stream(&log).await;
    let result = read.result().await.unwrap();
    assert_eq!(read.into_result().await.unwrap(), result);
}

/// An error ends the stream once, and is the result each time; what came before it can be read.
#[tokio::test]
async fn errors_end_streams() {
    let failed = vec![Say::Status(Code::Internal, vec![("imagegen-reason", "ERROR_REASON_PROVIDER_ERROR".into())])];
    let log = Log::start(short_log(), [(1, failed)]).await;
    let mut stream = stream(&log).await;
    assert_eq!(stream.result().await.unwrap_err().reason(), ErrorReason::ProviderError);
    assert!(matches!(stream.next().await, Some(Ok(Event::Started(_)))));
    assert_eq!(stream.next().await.unwrap().unwrap_err().reason(), ErrorReason::ProviderError);
    assert!(stream.next().await.is_none());
    assert_eq!(stream.result().await.unwrap_err().reason(), ErrorReason::ProviderError);
}

/// What the server refuses is the error of the call itself, with all that it tells.
#[tokio::test]
async fn refused_by_the_server() {
    let says = vec![
        Say::Metadata("imagegen-request-id", "mine".into()),
        Say::Status(
            Code::NotFound,
            vec![
                ("imagegen-reason", "ERROR_REASON_MODEL_NOT_FOUND".into()),
                ("imagegen-billed", "no".into()),
                ("grpc-message", "there is no such model".into()),
                ("grpc-status-details-bin", "this is no base64!".into()),
            ],
        ),
    ];
    let server = Server::start(move |_| says.clone()).await;
    let error = server.client().image("sandbox/nothing").stream("a cat").await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::NotFound, ErrorReason::ModelNotFound));
    assert_eq!((error.message(), error.request_id()), ("there is no such model", "mine"));
}

/// A message that is not UTF-8, as where a proxy cuts it, is read as far as it can be; all else is as it was told.
#[tokio::test]
async fn garbled_messages() {
    let trailers =
        || vec![("imagegen-reason", "ERROR_REASON_TIMEOUT".into()), ("grpc-message", "caf%C3 100%25".into())];
    for events in [0, 1] {
        let log = Log::start(short_log(), [(events, vec![Say::Status(Code::DeadlineExceeded, trailers())])]).await;
        let error = log.server.client().image("sandbox/scene").generate("a cat").await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::DeadlineExceeded, ErrorReason::Timeout));
        assert_eq!(error.message(), "caf\u{fffd} 100%");
    }
}

/// Details that are not base64 behind a message are no reason to fail otherwise.
#[tokio::test]
async fn garbled_details_at_the_end() {
    let trailers = vec![("imagegen-reason", "ERROR_REASON_TIMEOUT".into()), ("grpc-status-details-bin", "%%".into())];
    let log = Log::start(short_log(), [(1, vec![Say::Status(Code::DeadlineExceeded, trailers)])]).await;
    assert_eq!(stream(&log).await.result().await.unwrap_err().reason(), ErrorReason::Timeout);
}

/// The statuses that the transport makes are those of gRPC.
#[tokio::test]
async fn statuses_of_the_transport() {
    for (says, code) in [
        (Say::Http(503), Code::Unavailable),
        (Say::Http(401), Code::Unauthenticated),
        (Say::Http(404), Code::Unimplemented),
        (Say::Cut, Code::Unavailable),
        (Say::End, Code::Unknown),
        (Say::Reset(h2::Reason::REFUSED_STREAM), Code::Unavailable),
        (Say::Reset(h2::Reason::INTERNAL_ERROR), Code::Internal),
        (Say::Reset(h2::Reason::ENHANCE_YOUR_CALM), Code::ResourceExhausted),
    ] {
        let name = match &says {
            Say::Http(status) => format!("HTTP {status}"),
            Say::Reset(reason) => format!("{reason:?}"),
            _ => code.to_string(),
        };
        let server = Server::start(move |_| vec![says.clone()]).await;
        let error = server.client().image("sandbox/scene").generate("a cat").await.unwrap_err();
        assert_eq!(error.code(), code, "{name}");
    }
}

/// Nobody reads: the server is held back after a window, and four such streams do not hold up a fifth.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_streams_are_held_back() {
    const EACH: usize = 8 << 20;
    let image = picture(EACH, 3);
    let log = numbered([vec![started()], complete(0, &image), vec![result(&[&image])]].concat());
    let long: Vec<Say> = log.iter().map(message).chain([ok()]).collect();
    let short: Vec<Say> = short_log().iter().map(message).chain([ok()]).collect();
    let server = Server::start(move |call| {
        let long_one = call.request::<GenerateRequest>().model == "long";
        if long_one { long.clone() } else { short.clone() }
    })
    .await;
    let client = server.client();
    let mut unread = Vec::new();
    for _ in 0..4 {
        unread.push(client.image("long").stream("a cat").await.unwrap());
    }
    // One that is read in full while the others fill their windows.
    for _ in 0..3 {
        client.image("short").generate("a cat").await.unwrap();
    }
    let result = unread.pop().unwrap().result().await.unwrap();
    assert_eq!(result.image().bytes(), Some(&image));
    let others = server.sent() - EACH;
    assert!(others < 3 * (4 << 20) + 3 * (1 << 20), "{others} bytes were sent that nobody reads");
}

/// A stream may move between tasks and be polled by whatever reads streams.
#[test]
fn streams_are_mobile() {
    fn mobile<T: Send + Unpin + 'static + futures_core::Stream>() {}
    mobile::<ImageStream>();
}
