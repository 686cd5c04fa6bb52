//! Who stops a generation, and when the server is told.

use std::time::Duration;

use tonic::Code;

use super::log::*;
use super::server::{Call, Say, Server, message, ok};
use crate::v1::{CancelRequest, CancelResponse, ErrorReason, OnDisconnect, cancel_request};
use crate::{Client, ImageStream};

/// Plays the start of a generation and hangs.
async fn hanging() -> Log {
    Log::start(short_log(), vec![(2, vec![Say::Hang]); 9]).await
}

/// A stream of each kind that may run on without its reader.
async fn shared(client: &Client, kind: &str) -> ImageStream {
    let model = client.image("sandbox/scene");
    match kind {
        "resumable" => model.stream("a cat").resumable(true).await.unwrap(),
        "request_id" => model.stream("a cat").request_id("mine").await.unwrap(),
        "detach" => model.stream("a cat").on_disconnect(OnDisconnect::Detach).await.unwrap(),
        "resumable and detach" => {
            model.stream("a cat").resumable(true).on_disconnect(OnDisconnect::Detach).await.unwrap()
        }
        "resumable with request_id" => model.stream("a cat").resumable(true).request_id("mine").await.unwrap(),
        _ => client.resume("gen_1").await.unwrap(),
    }
}

const SHARED: [&str; 6] =
    ["resumable", "request_id", "detach", "resumable and detach", "resumable with request_id", "resumed"];

fn cancelled_by(call: &Call) -> cancel_request::Generation {
    assert_eq!(call.method, "Cancel");
    call.request::<CancelRequest>().generation.unwrap()
}

/// Aborting a plain stream ends its call, and the server needs no more.
#[tokio::test]
async fn abort_of_a_plain_stream() {
    let log = hanging().await;
    let mut stream = log.server.client().image("sandbox/scene").stream("a cat").await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream.abort().await.unwrap();
    log.server.gone(1).await;
    assert!(stream.next().await.is_none());
    let error = stream.result().await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Cancelled, ErrorReason::Cancelled));
    assert_eq!((error.generation_id(), error.request_id()), ("gen_1", "made-by-server"));
    assert_eq!(log.server.methods(), ["StreamGenerate"]);
}

/// Aborting what may run on without its reader tells the server, by the generation's id, once.
#[tokio::test]
async fn abort_of_what_would_run_on() {
    for kind in SHARED {
        let log = hanging().await;
        let mut stream = shared(&log.server.client(), kind).await;
        stream.next().await.unwrap().unwrap();
        stream.abort().await.unwrap();
        stream.abort().await.unwrap();
        let calls = log.server.calls();
        assert_eq!(calls.len(), 2, "{kind}");
        assert_eq!(cancelled_by(&calls[1]), cancel_request::Generation::GenerationId("gen_1".into()), "{kind}");
        log.server.gone(1).await;
    }
}

/// If nothing was told yet, the name of the wish is good enough.
#[tokio::test]
async fn abort_before_anything_came() {
    let server = Server::start(|call| match call.method.as_str() {
        "Cancel" => vec![message(&CancelResponse::default()), ok()],
        _ => vec![Say::Hang],
    })
    .await;
    let mut stream = server.client().image("sandbox/scene").stream("a cat").request_id("mine").await.unwrap();
    stream.abort().await.unwrap();
    assert_eq!(cancelled_by(&server.calls()[1]), cancel_request::Generation::RequestId("mine".into()));
}

/// A server that knows no such generation has nothing to stop; one that cannot be told is an error, and may be told again.
#[tokio::test]
async fn answers_to_cancel() {
    let log = hanging().await;
    let gone = Say::Status(Code::NotFound, vec![("imagegen-reason", "ERROR_REASON_GENERATION_NOT_FOUND".into())]);
    log.on_cancel(vec![gone]);
    shared(&log.server.client(), "detach").await.abort().await.unwrap();

    log.on_cancel(vec![Say::Status(Code::Internal, vec![])]);
    let mut stream = shared(&log.server.client(), "detach").await;
    let error = stream.abort().await.unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    log.on_cancel(vec![message(&CancelResponse::default()), ok()]);
    stream.abort().await.unwrap();
}

/// Leaving a plain stream ends its call; a resumable one that nobody else can name is cancelled in the background.
#[tokio::test]
async fn leaving_stops() {
    let log = hanging().await;
    drop(log.server.client().image("sandbox/scene").stream("a cat").await.unwrap());
    log.server.gone(1).await;
    drop(shared(&log.server.client(), "resumable").await);
    log.server.gone(2).await;
    log.server.called(3).await;
    assert_eq!(log.server.methods(), ["StreamGenerate", "StreamGenerate", "Cancel"]);
    // The same, and the server has heard of it before the call returns.
    shared(&log.server.client(), "resumable").await.leave().await;
    assert_eq!(log.server.methods()[3..], ["StreamGenerate", "Cancel"]);
}

/// Leaving what somebody else can name leaves it running.
#[tokio::test]
async fn leaving_lets_run() {
    let log = hanging().await;
    for (times, kind) in (1..).zip(SHARED.into_iter().skip(1)) {
        let stream = shared(&log.server.client(), kind).await;
        stream.leave().await;
        log.server.gone(times).await;
    }
    assert!(!log.server.methods().contains(&"Cancel".to_owned()), "{:?}", log.server.methods());
}

/// A runtime is not needed to drop a stream: the client's own does what is to be done.
#[tokio::test]
async fn dropped_elsewhere() {
    let log = hanging().await;
    let stream = shared(&log.server.client(), "resumable").await;
    std::thread::spawn(move || drop(stream)).join().unwrap();
    log.server.called(2).await;
    assert_eq!(log.server.methods()[1], "Cancel");
}

/// Dropping a call that waits leaves its generation.
#[tokio::test]
async fn dropped_futures() {
    let log = hanging().await;
    let model = log.server.client().image("sandbox/scene").resumable(true);
    let waiting = tokio::spawn(model.generate("a cat").into_future());
    log.server.called(1).await;
    waiting.abort();
    log.server.gone(1).await;
    log.server.called(2).await;
    assert_eq!(log.server.methods()[1], "Cancel");
}

/// A deadline is an error of this side that says when, and stops what nobody else can name.
#[tokio::test]
async fn deadlines() {
    let log = hanging().await;
    let model = log.server.client().image("sandbox/scene").timeout(Duration::from_millis(150));
    let error = model.generate("a cat").await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::DeadlineExceeded, ErrorReason::Timeout));
    assert_eq!(error.generation_id(), "gen_1");
    log.server.gone(1).await;
    assert_eq!(model.generate("a cat").resumable(true).await.unwrap_err().reason(), ErrorReason::Timeout);
    log.server.called(3).await;
    assert_eq!(log.server.methods(), ["StreamGenerate", "StreamGenerate", "Cancel"]);
    assert!(log.server.calls()[0].headers.contains_key("grpc-timeout"));
}

/// A limit that ends while a break is waited out is a deadline too.
#[tokio::test]
async fn deadline_amid_a_break() {
    let log = Log::start(short_log(), [(2, vec![Say::Status(Code::Internal, vec![])])]).await;
    let client = log.server.builder().pace(crate::backoff::Pace(1000.0)).connect().unwrap();
    let model = client.image("sandbox/scene").resumable(true).timeout(Duration::from_millis(150));
    assert_eq!(model.generate("a cat").await.unwrap_err().code(), Code::DeadlineExceeded);
}

/// Once the result is there, or the server has said how it ended, there is nothing to stop.
#[tokio::test]
async fn after_the_end() {
    let failed = vec![Say::Status(Code::Internal, vec![("imagegen-reason", "ERROR_REASON_PROVIDER_ERROR".into())])];
    for end in [vec![ok()], failed] {
        let log = Log::start(short_log(), [(99, end)]).await;
        let mut stream = shared(&log.server.client(), "resumable").await;
        // The result stands, whatever becomes of the call.
        assert_eq!(stream.result().await.unwrap().image().bytes(), Some(&large()));
        stream.abort().await.unwrap();
        assert!(stream.result().await.is_ok());
        stream.leave().await;
        assert_eq!(log.server.methods(), ["StreamGenerate"]);
    }
}

/// A refusal of a request that was sent again says nothing of what the first one began: that is stopped.
#[tokio::test]
async fn refused_when_sent_again() {
    let busy = vec![Say::Status(Code::ResourceExhausted, vec![("imagegen-reason", "ERROR_REASON_SERVER_BUSY".into())])];
    let log = Log::start(short_log(), [(0, vec![Say::End]), (0, busy)]).await;
    let model = log.server.client().image("sandbox/scene").resumable(true);
    assert_eq!(model.generate("a cat").await.unwrap_err().reason(), ErrorReason::ServerBusy);
    log.server.called(3).await;
    let calls = log.server.calls();
    let name = calls[0].request::<crate::v1::GenerateRequest>().request_id;
    assert_eq!(cancelled_by(&calls[2]), cancel_request::Generation::RequestId(name));
}

/// A picture that is not what was promised stops the generation: nobody shall pay for more of it.
#[tokio::test]
async fn bad_pictures_stop() {
    let mut events = short_log();
    events.remove(2);
    let log = Log::start(numbered(events), [(4, vec![Say::Hang])]).await;
    let model = log.server.client().image("sandbox/scene").resumable(true);
    let error = model.generate("a cat").await.unwrap_err();
    assert_eq!((error.reason(), error.code()), (ErrorReason::InvalidResponse, Code::Internal));
    log.server.gone(1).await;
    log.server.called(2).await;
    assert_eq!(log.server.methods(), ["StreamGenerate", "Cancel"]);
}
