//! Addresses, tokens, and what every call carries.

use std::future::IntoFuture;
use std::time::Duration;

use super::log::{Log, short_log};
use super::server::{Server, message, ok};
use crate::address::Address;
use crate::v1::{GenerateRequest, GetModelResponse, Model, ModelCapabilities};
use crate::{Client, ErrorReason};

/// An address is host:port or a unix socket, and whether it is this machine is known without asking anybody.
#[test]
fn addresses() {
    for (text, loopback) in [
        ("127.0.0.1:50051", true),
        ("127.8.8.8:1", true),
        ("localhost:50051", true),
        ("LOCALHOST:50051", true),
        ("[::1]:50051", true),
        ("unix:/run/imagegen.sock", true),
        ("unix:///run/imagegen.sock", true),
        ("images.example:443", false),
        ("10.0.0.1:50051", false),
        ("[2001:db8::1]:443", false),
        ("localhost.example:443", false),
    ] {
        let address = Address::parse(text).expect(text);
        assert_eq!((address.as_str(), address.is_loopback()), (text, loopback), "{text}");
    }
    for text in [
        "http://localhost:50051",
        "https://images.example",
        "localhost",
        "localhost:",
        "127.0.0.1",
        "::1",
        "[::1]",
        "[::1]:",
        "2001:db8::1",
        "[localhost]:1",
        "localhost:http",
        "localhost:65536",
        "localhost:+1",
        ":50051",
        "user@localhost:50051",
        "a,b:50051",
        "localhost/path:50051",
        "dns:///localhost:50051",
        "unix:",
    ] {
        let error = Address::parse(text).expect_err(text);
        assert!(error.is_refused() && error.violations()[0].field == "address", "{text}: {error}");
    }
}

/// Without an address it is the default one; an empty one is none.
#[tokio::test]
async fn default_address() {
    if std::env::var_os(crate::address::VARIABLE).is_none() {
        assert_eq!(Client::builder().connect().unwrap().address(), "127.0.0.1:50051");
        assert_eq!(Client::builder().address("").connect().unwrap().address(), "127.0.0.1:50051");
    }
    assert_eq!(Client::builder().address("[::1]:9").connect().unwrap().address(), "[::1]:9");
}

/// A token travels over TLS or to this machine only, and is text.
#[tokio::test]
async fn tokens() {
    let refused = |builder: crate::ClientBuilder| builder.connect().unwrap_err().violations()[0].field.clone();
    assert_eq!(refused(Client::builder().address("10.0.0.1:1").token("t")), "token");
    assert_eq!(refused(Client::builder().address("localhost:1").token("a\nb")), "token");
    assert!(Client::builder().address("10.0.0.1:1").token("").connect().is_ok());
    #[cfg(feature = "tls-ring")]
    assert!(Client::builder().address("10.0.0.1:1").token("t").tls_config(Default::default()).connect().is_ok());
    assert!(Client::builder().address("unix:/nowhere").token("t").connect().is_ok());
}

/// Without a runtime there is an error instead of a panic.
#[test]
fn no_runtime() {
    assert!(Client::builder().connect().unwrap_err().is_refused());
}

/// Every call carries the token and who is calling.
#[tokio::test]
async fn what_calls_carry() {
    let log = Log::start(short_log(), []).await;
    let client = log.server.builder().token("secret").connect().unwrap();
    client.image("sandbox/scene").generate("a cat").await.unwrap();
    client.image_service().cancel(crate::v1::CancelRequest::default()).await.unwrap();
    for call in log.server.calls() {
        assert_eq!(call.headers["authorization"], "Bearer secret");
        let agent = call.headers["user-agent"].to_str().unwrap();
        assert!(agent.starts_with(concat!("imagegen-rust/", env!("CARGO_PKG_VERSION"), " ")), "{agent}");
        assert!(!call.headers.contains_key("grpc-timeout"));
    }
    assert!(!format!("{client:?}").contains("secret"));
}

/// What is secret is not printed with the words that a connection is made from.
#[test]
fn secrets_are_not_printed() {
    let builder = Client::builder().address("images.example:443").token("secret token");
    #[cfg(feature = "tls-ring")]
    let builder = builder
        .tls_config(crate::ClientTlsConfig::new().identity(crate::Identity::from_pem("certificate", "secret key")));
    let printed = format!("{builder:?}");
    assert!(printed.contains("images.example:443"), "{printed}");
    assert!(!printed.contains("secret token") && !printed.contains(&format!("{:?}", b"secret key")), "{printed}");
}

/// Who takes a connection and never answers in TLS is given up.
#[cfg(feature = "tls-ring")]
#[tokio::test]
async fn silence_in_tls() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Client::builder().address(address).tls_config(Default::default()).connect().unwrap();
    let call = tokio::spawn(client.image("m").generate("a cat").into_future());
    let (socket, _) = listener.accept().await.unwrap();
    socket.readable().await.unwrap(); // the client greets, and waits
    tokio::time::pause();
    let error = tokio::time::timeout(Duration::from_secs(60), call).await.expect("an end").unwrap().unwrap_err();
    assert_eq!((error.code(), error.billed()), (crate::Code::Unavailable, crate::Billed::No));
}

/// A limit that is too long for the wire is none.
#[tokio::test]
async fn endless_time_limits() {
    let log = Log::start(short_log(), []).await;
    for limit in [Duration::from_secs(1 << 42), Duration::MAX] {
        let client = log.server.client().with_timeout(limit);
        client.image("m").generate("a cat").await.unwrap();
        client.cancel("gen_1").await.unwrap();
    }
    assert!(log.server.calls().iter().all(|call| !call.headers.contains_key("grpc-timeout")));
}

/// A call's own limit goes before that of its model, and that before the client's.
#[tokio::test]
async fn time_limits() {
    let log = Log::start(short_log(), []).await;
    let hours = |hours: u64| Duration::from_secs(3600 * hours);
    let client = log.server.client().with_timeout(hours(9));
    client.image("m").generate("a cat").await.unwrap();
    client.image("m").timeout(hours(5)).generate("a cat").await.unwrap();
    client.image("m").timeout(hours(5)).generate("a cat").timeout(hours(2)).await.unwrap();
    let told = log.server.calls().into_iter().map(|call| {
        let text = call.headers["grpc-timeout"].to_str().unwrap().to_owned();
        let (number, unit) = text.split_at(text.len() - 1);
        let seconds = number.parse::<u64>().unwrap()
            / match unit {
                "S" => 1,
                "m" => 1000,
                _ => 1_000_000,
            };
        seconds.div_ceil(3600)
    });
    assert_eq!(told.collect::<Vec<_>>(), [9, 5, 2]);
}

/// A limit that has passed before anything was sent is a deadline, not a hang.
#[tokio::test]
async fn no_time_at_all() {
    let server = Server::start(|_| vec![super::server::Say::Hang]).await;
    let client = server.client().with_timeout(Duration::ZERO);
    for error in [client.model("m").await.unwrap_err(), client.image("m").generate("a cat").await.unwrap_err()] {
        assert_eq!(error.reason(), ErrorReason::Timeout);
    }
}

/// What a model can do is asked of the server once.
#[tokio::test]
async fn capabilities() {
    let capabilities = Some(ModelCapabilities { mask: Some(true), ..Default::default() });
    let found = GetModelResponse { model: Some(Model { capabilities, ..Default::default() }) };
    let server = Server::start(move |_| vec![message(&found), ok()]).await;
    let model = server.client().image("sandbox/scene");
    assert_eq!(model.capabilities().await.unwrap().mask, Some(true));
    assert_eq!(model.clone().count(2).capabilities().await.unwrap().mask, Some(true));
    assert_eq!(server.calls().len(), 1);
}

/// Messages of more than the 4 MiB that tonic takes by default are received, also by the raw stubs.
#[tokio::test]
async fn large_messages() {
    let data = super::log::picture(5 << 20, 1);
    let image = Some(crate::v1::Image { data: data.clone(), ..Default::default() });
    let made = crate::v1::GeneratedImage { image, ..Default::default() };
    let result = crate::v1::ImageResult { images: vec![made], ..Default::default() };
    let server = Server::start(move |_| vec![message(&result), ok()]).await;
    let told = server.client().image_service().generate(GenerateRequest::default()).await.unwrap().into_inner();
    assert_eq!(told.images[0].image.as_ref().unwrap().data, data);
}
