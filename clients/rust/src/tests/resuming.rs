//! Streams that break and are read on: nothing is lost, nothing is bought twice.

use tonic::Code;

use super::log::*;
use super::server::{Say, message};
use crate::v1::{Billed, CancelResponse, DeliveryMode, ErrorReason, GenerateRequest, OnDisconnect, ResumeRequest};
use crate::{Error, Event, Image, ImageResult, ImageStream};

/// What a reader saw, news apart, and the result.
async fn watched(mut stream: ImageStream) -> Result<(Vec<&'static str>, ImageResult), Error> {
    let mut kinds = Vec::new();
    while let Some(event) = stream.next().await {
        kinds.push(match event? {
            Event::Started(_) => "started",
            Event::Progress(_) => continue,
            Event::Preview(_) => "preview",
            Event::Complete(_) => "complete",
            Event::Failed(_) => "failed",
        });
    }
    Ok((kinds, stream.result().await?))
}

/// Everything that the long log has came once, in order, byte for byte.
fn check((kinds, result): (Vec<&str>, ImageResult), case: &str) {
    assert_eq!(kinds, ["started", "preview", "preview", "complete", "complete", "failed"], "{case}");
    let bytes: Vec<_> = result.images.iter().map(|made| made.image.bytes().cloned().unwrap()).collect();
    assert_eq!(bytes, [large(), small()], "{case}");
}

fn broken(code: Code) -> Vec<Say> {
    vec![Say::Status(code, vec![])]
}

/// Wherever a stream breaks and however, the reader gets the same, and it is bought once.
#[tokio::test]
async fn a_break_anywhere_is_not_seen() {
    let ends = [
        ("UNAVAILABLE", broken(Code::Unavailable)),
        ("INTERNAL", broken(Code::Internal)),
        ("UNKNOWN", broken(Code::Unknown)),
        ("CANCELLED", broken(Code::Cancelled)),
        ("OK without a result", broken(Code::Ok)),
        ("no status", vec![Say::End]),
        ("a reset", vec![Say::Reset(h2::Reason::INTERNAL_ERROR)]),
        ("a cut", vec![Say::Cut]),
    ];
    let events = long_log();
    for (name, end) in ends {
        for at in 0..events.len() {
            let case = format!("{name} after {at} events");
            let log = Log::start(events.clone(), [(at, end.clone())]).await;
            let model = log.server.client().image("sandbox/scene").resumable(true);
            check(watched(model.stream("a cat").await.expect(&case)).await.expect(&case), &case);
            assert_eq!(log.purchases(), 1, "{case}");
            // Nothing received: the same request again. Else on from the last sequence.
            let last = if at == 0 { vec![] } else { vec![events[at - 1].sequence] };
            match name {
                "a cut" => assert!(log.resumed_after() <= last, "{case}"), // the last events may be lost with it
                _ => assert_eq!(log.resumed_after(), last, "{case}"),
            }
        }
    }
}

/// A line that carries one event at a time is slow, and no more: each event renews the tries.
#[tokio::test]
async fn breaks_after_every_event() {
    let length = long_log().last().unwrap().sequence as usize;
    let events: Vec<_> = long_log().into_iter().filter(|event| !is_progress(event)).collect();
    let log = Log::start(events, vec![(1, broken(Code::Unavailable)); length - 1]).await;
    let model = log.server.client().image("sandbox/scene").resumable(true);
    check(watched(model.stream("a cat").await.unwrap()).await.unwrap(), "one by one");
    assert_eq!(log.purchases(), 1);
    assert_eq!(log.resumed_after(), (1..length as u32).collect::<Vec<_>>());
}

fn is_progress(event: &crate::v1::ImageStreamEvent) -> bool {
    matches!(event.event, Some(crate::v1::image_stream_event::Event::Progress(_)))
}

/// The forms that only wait read on too, with the same delivery as before.
#[tokio::test]
async fn generate_and_edit_survive() {
    let log = Log::start(long_log(), [(6, broken(Code::Unavailable)), (6, broken(Code::Unavailable))]).await;
    let model = log.server.client().image("sandbox/scene").resumable(true);
    assert_eq!(model.generate("a cat").await.unwrap().image().bytes(), Some(&large()));
    let log = Log::start(long_log(), [(6, broken(Code::Unavailable))]).await;
    let model = log.server.client().image("sandbox/scene").resumable(true);
    let changed = model.edit("a cat").image(Image::from_id("img_1")).await.unwrap();
    assert_eq!(changed.image().bytes(), Some(&large()));
    let resumed: ResumeRequest = log.server.calls()[1].request();
    assert_eq!(resumed.delivery.unwrap().mode(), DeliveryMode::Inline);
}

/// A stream without chunks is resumed without chunks.
#[tokio::test]
async fn by_reference() {
    let events = numbered([started(), opening(0, &large()), result(&[&large()])]);
    let log = Log::start(events, [(2, broken(Code::Unavailable))]).await;
    let model = log.server.client().image("sandbox/scene").resumable(true).delivery(DeliveryMode::Reference);
    let made = model.generate("a cat").await.unwrap();
    assert_eq!((made.image().bytes(), made.image().size_bytes()), (None, large().len() as u32));
    let resumed: ResumeRequest = log.server.calls()[1].request();
    assert_eq!((resumed.after_sequence, resumed.delivery.unwrap().mode()), (2, DeliveryMode::Reference));
}

/// The headers alone tell the generation's id: a break right behind them is resumed, not asked for again.
#[tokio::test]
async fn headers_are_enough() {
    let id = Say::Metadata("imagegen-generation-id", "gen_1".into());
    let server = super::server::Server::start(move |call| match call.method.as_str() {
        "StreamGenerate" => vec![id.clone(), Say::End],
        _ => short_log().iter().map(message).chain(broken(Code::Ok)).collect(),
    })
    .await;
    server.client().image("sandbox/scene").resumable(true).generate("a cat").await.unwrap();
    assert_eq!(server.methods(), ["StreamGenerate", "Resume"]);
}

/// A resumable call has a name: a UUID, or the one that was given; a plain call has none.
#[tokio::test]
async fn names_of_wishes() {
    let log = Log::start(short_log(), []).await;
    let model = log.server.client().image("sandbox/scene");
    model.generate("a cat").await.unwrap();
    model.generate("a cat").resumable(true).await.unwrap();
    model.generate("a cat").resumable(true).request_id("mine").await.unwrap();
    model.generate("a cat").on_disconnect(OnDisconnect::Detach).await.unwrap();
    let calls = log.server.calls();
    let names: Vec<_> = calls.iter().map(|call| call.request::<GenerateRequest>().request_id).collect();
    assert_eq!((names[0].as_str(), names[2].as_str()), ("", "mine"));
    assert!(uuid::Uuid::parse_str(&names[1]).is_ok() && uuid::Uuid::parse_str(&names[3]).is_ok(), "{names:?}");
}

/// A plain call is not read on: the break is its end, and nothing is sent again.
#[tokio::test]
async fn plain_calls_break() {
    for (at, end) in [(0, broken(Code::Unavailable)), (3, broken(Code::Unavailable)), (3, vec![Say::Cut])] {
        let log = Log::start(short_log(), [(at, end)]).await;
        let error = log.server.client().image("sandbox/scene").generate("a cat").await.unwrap_err();
        assert_eq!((error.code(), error.reason()), (Code::Unavailable, ErrorReason::NetworkError));
        assert_eq!(log.server.methods(), ["StreamGenerate"]);
    }
    let log = Log::start(short_log(), [(3, broken(Code::Ok))]).await;
    let error = log.server.client().image("sandbox/scene").generate("a cat").await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Internal, ErrorReason::InvalidResponse));
}

/// What the server itself says is final, whatever its code.
#[tokio::test]
async fn the_servers_word_is_final() {
    let said =
        vec![Say::Status(Code::Unavailable, vec![("imagegen-reason", "ERROR_REASON_PROVIDER_UNAVAILABLE".into())])];
    let log = Log::start(short_log(), [(2, said)]).await;
    let error = log.server.client().image("sandbox/scene").resumable(true).generate("a cat").await.unwrap_err();
    assert_eq!(error.reason(), ErrorReason::ProviderUnavailable);
    assert_eq!(error.generation_id(), "gen_1");
    assert_eq!(log.server.methods(), ["StreamGenerate"]);
}

/// While resuming, a server that is busy is asked again; at the start it is not.
#[tokio::test]
async fn busy_servers() {
    let busy =
        || vec![Say::Status(Code::ResourceExhausted, vec![("imagegen-reason", "ERROR_REASON_SERVER_BUSY".into())])];
    let log = Log::start(short_log(), [(2, broken(Code::Unavailable)), (0, busy()), (0, busy())]).await;
    let model = log.server.client().image("sandbox/scene").resumable(true);
    model.generate("a cat").await.unwrap();
    assert_eq!(log.resumed_after(), [2, 2, 2]);
    let log = Log::start(short_log(), [(0, busy())]).await;
    let model = log.server.client().image("sandbox/scene").resumable(true);
    assert_eq!(model.generate("a cat").await.unwrap_err().reason(), ErrorReason::ServerBusy);
}

/// After seven tries in vain the break is an error, and a generation that may still run is left to its name.
#[tokio::test]
async fn patience_ends() {
    let log =
        Log::start(short_log(), [vec![(2, broken(Code::Internal))], vec![(0, broken(Code::Internal)); 8]].concat())
            .await;
    let model = log.server.client().image("sandbox/scene").resumable(true);
    let mut stream = model.stream("a cat").await.unwrap();
    let error = stream.result().await.unwrap_err();
    assert_eq!((error.code(), error.generation_id()), (Code::Internal, "gen_1"));
    assert_eq!(log.resumed_after(), [2; 7]);
    assert_eq!(stream.last_sequence(), 2);
    // Leaving does not stop it, as whoever has the name may come back to it; abort does.
    stream.abort().await.unwrap();
    assert_eq!(log.server.methods().last().unwrap(), "Cancel");
}

/// A server that is gone after the generation began may have spent money on it, whatever the last try came to.
#[tokio::test]
async fn servers_that_are_gone() {
    let log = Log::start(short_log(), [(2, vec![Say::Cut])]).await;
    let client = log.server.builder().pace(crate::backoff::Pace(0.02)).connect().unwrap();
    let mut stream = client.image("sandbox/scene").resumable(true).stream("a cat").await.unwrap();
    drop(log);
    let error = stream.result().await.unwrap_err();
    assert_eq!((error.code(), error.reason()), (Code::Unavailable, ErrorReason::NetworkError));
    assert_eq!(error.billed(), Billed::Unknown);
}

/// A stream that was resumed by hand is read on as well, and leaves what it did not see begin without bytes.
#[tokio::test]
async fn resumed_by_hand() {
    let log = Log::start(long_log(), [(1, broken(Code::Unavailable))]).await;
    let client = log.server.client();
    let after = 9; // amid the first picture
    let mut stream = client.resume("gen_1").after_sequence(after).await.unwrap();
    assert_eq!(stream.last_sequence(), after);
    let result = stream.result().await.unwrap();
    assert_eq!(result.images[0].image.bytes(), None);
    assert_eq!(result.images[1].image.bytes(), Some(&small()));
    assert_eq!(log.resumed_after(), [after, after + 1]);
    assert_eq!((stream.generation_id(), log.purchases()), ("gen_1", 0));
}

/// A request that ends with its connection cannot be resumed, and a generation without a name cannot be found.
#[tokio::test]
async fn refusals() {
    let log = Log::start(short_log(), []).await;
    let client = log.server.client();
    let model = client.image("sandbox/scene").resumable(true).on_disconnect(OnDisconnect::Cancel);
    assert!(model.generate("a cat").await.unwrap_err().is_refused());
    assert!(client.resume("").await.unwrap_err().is_refused());
    assert!(client.resume_request("").await.unwrap_err().is_refused());
    assert!(client.cancel("").await.unwrap_err().is_refused());
    assert!(log.server.calls().is_empty());
    log.on_cancel(vec![message(&CancelResponse::default()), super::server::ok()]);
    assert!(!client.cancel("gen_1").await.unwrap());
}
