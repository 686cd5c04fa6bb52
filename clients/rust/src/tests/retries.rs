//! Only what is free is tried again.

use std::time::{Duration, Instant};

use tonic::{Code, Request};

use super::log::facts;
use super::server::{Call, Say, Server, message, ok};
use crate::Client;
use crate::backoff::Pace;
use crate::channel::FREE_METHODS;
use crate::v1::{self, *};

fn unavailable() -> Vec<Say> {
    vec![Say::Status(Code::Unavailable, vec![])]
}

/// Fails so often with `failure`, then answers `then`.
async fn failing(times: usize, failure: Vec<Say>, then: Vec<Say>) -> Server {
    let calls = std::sync::atomic::AtomicUsize::new(0);
    Server::start(move |_: &Call| {
        let earlier = calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if earlier < times { failure.clone() } else { then.clone() }
    })
    .await
}

/// Calls every method of the API with the generated stubs on the client's connection.
async fn call_all(client: &Client) -> Vec<(&'static str, Code)> {
    let (mut images, mut models) = (client.image_service(), client.model_service());
    macro_rules! codes {
        ($($stub:ident.$method:ident($request:expr) is $path:literal;)*) => {
            vec![$(($path, $stub.$method($request).await.map_or_else(|status| status.code(), |_| Code::Ok)),)*]
        };
    }
    codes! {
        images.generate(GenerateRequest::default()) is "/imagegen.v1.ImageService/Generate";
        images.stream_generate(GenerateRequest::default()) is "/imagegen.v1.ImageService/StreamGenerate";
        images.edit(EditRequest::default()) is "/imagegen.v1.ImageService/Edit";
        images.stream_edit(EditRequest::default()) is "/imagegen.v1.ImageService/StreamEdit";
        images.resume(ResumeRequest::default()) is "/imagegen.v1.ImageService/Resume";
        images.cancel(CancelRequest::default()) is "/imagegen.v1.ImageService/Cancel";
        images.read_image(ReadImageRequest::default()) is "/imagegen.v1.ImageService/ReadImage";
        images.upload_image(UploadImageRequest::default()) is "/imagegen.v1.ImageService/UploadImage";
        images.explain(ExplainRequest::default()) is "/imagegen.v1.ImageService/Explain";
        models.list_models(ListModelsRequest::default()) is "/imagegen.v1.ModelService/ListModels";
        models.get_model(GetModelRequest::default()) is "/imagegen.v1.ModelService/GetModel";
    }
}

/// Each free method is tried four times, every other one once.
#[tokio::test]
async fn only_free_methods() {
    let server = Server::start(|_| unavailable()).await;
    let codes = call_all(&server.client()).await;
    let calls = server.calls();
    for (path, code) in codes {
        assert_eq!(code, Code::Unavailable, "{path}");
        let times = calls.iter().filter(|call| call.path == path).count();
        assert_eq!(times, if FREE_METHODS.contains(&path) { 4 } else { 1 }, "{path}");
    }
}

/// The free methods are those that the API says are free.
#[test]
fn which_are_free() {
    let names: Vec<_> = FREE_METHODS.iter().map(|path| path.rsplit('/').next().unwrap()).collect();
    assert_eq!(names, ["Resume", "Cancel", "ReadImage", "UploadImage", "Explain", "ListModels", "GetModel"]);
}

/// A server that comes back is answered from, and is told that it was asked before.
#[tokio::test]
async fn until_it_works() {
    let found = GetModelResponse { model: Some(Model { name: "a/b".into(), ..Default::default() }) };
    for failure in [unavailable(), vec![Say::Http(503)], vec![Say::Cut]] {
        let server = failing(3, failure, vec![message(&found), ok()]).await;
        assert_eq!(server.client().model("a/b").await.unwrap().name, "a/b");
        let told = server.calls().into_iter().map(|call| {
            let value = call.headers.get("grpc-previous-rpc-attempts").cloned();
            (call.request::<GetModelRequest>().model, value.map(|value| value.to_str().unwrap().to_owned()))
        });
        let expected = [None, Some("1"), Some("2"), Some("3")].map(|told| ("a/b".into(), told.map(String::from)));
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}

/// A connection that cannot be made is tried again for what is free, and costs nothing.
#[tokio::test]
async fn nobody_listens() {
    let client = Client::builder().address("127.0.0.1:1").pace(Pace(0.001)).connect().unwrap();
    for error in [client.model("a/b").await.unwrap_err(), client.image("a/b").generate("a cat").await.unwrap_err()] {
        assert_eq!((error.code(), error.reason()), (Code::Unavailable, ErrorReason::NetworkError));
        assert_eq!(error.billed(), Billed::No);
        assert!(error.message().contains("refused"), "{error}");
    }
}

/// Other failures, and failures after something has come, are final.
#[tokio::test]
async fn what_is_final() {
    let piece =
        ReadImageResponse { image: Some(facts(&vec![1; 9].into())), data: vec![1].into(), ..Default::default() };
    for says in [
        vec![Say::Status(Code::Internal, vec![])],
        vec![Say::Status(Code::ResourceExhausted, vec![])],
        vec![message(&piece), Say::Status(Code::Unavailable, vec![])],
    ] {
        let server = Server::start(move |_| says.clone()).await;
        let mut images = server.client().image_service();
        if let Ok(stream) = images.read_image(ReadImageRequest::default()).await {
            let mut stream = stream.into_inner();
            assert_eq!(stream.message().await.unwrap().unwrap().data.len(), 1);
            assert_eq!(stream.message().await.unwrap_err().code(), Code::Unavailable);
        }
        assert_eq!(server.methods(), ["ReadImage"]);
    }
}

/// The server may ask for another wait, or for no retry at all.
#[tokio::test]
async fn the_server_has_a_say() {
    for (asked, times) in [("-1", 1), ("nonsense", 1), ("1", 4)] {
        let status = Say::Status(Code::Unavailable, vec![("grpc-retry-pushback-ms", asked.into())]);
        let server = Server::start(move |_| vec![status.clone()]).await;
        server.client().model("a/b").await.unwrap_err();
        assert_eq!(server.calls().len(), times, "{asked}");
    }
}

/// No retry begins that could not end in time, and each is told what is left.
#[tokio::test]
async fn within_the_time_limit() {
    let server = Server::start(|_| unavailable()).await;
    let client = server.builder().pace(Pace(1.0)).timeout(Duration::from_millis(350)).connect().unwrap();
    let begun = Instant::now();
    assert_eq!(client.model("a/b").await.unwrap_err().code(), Code::Unavailable);
    assert!(begun.elapsed() < Duration::from_millis(350));
    let limits = server.calls().into_iter().map(|call| {
        let limit = call.headers["grpc-timeout"].to_str().unwrap().to_owned();
        let (number, unit) = limit.split_at(limit.len() - 1);
        number.parse::<u64>().unwrap() / if unit == "m" { 1 } else { 1000 }
    });
    let limits: Vec<u64> = limits.collect();
    assert!(matches!(limits[..], [200..=350, 1..=190]), "{limits:?}");
}

/// Stubs of one's own on the client's channel are of the same kind.
#[tokio::test]
async fn raw_stubs() {
    let server = failing(1, unavailable(), vec![message(&GetModelResponse::default()), ok()]).await;
    let mut stub = v1::model_service_client::ModelServiceClient::new(server.client().channel());
    stub.get_model(Request::new(GetModelRequest::default())).await.unwrap();
    assert_eq!(server.calls().len(), 2);
}
