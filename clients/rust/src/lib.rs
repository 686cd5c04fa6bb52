//! Rust client of imagegen: one typed gRPC API in front of every image model.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use imagegen_client::{Client, Event};
//!
//! let client = Client::builder().address("127.0.0.1:50051").connect()?;
//! let painter = client.image("sandbox/scene").size(1024, 768);
//! painter.generate("a harbour at dawn").await?.image().save("harbour.png")?;
//!
//! let mut stream = painter.stream("the same harbour, in fog").await?;
//! while let Some(event) = stream.next().await {
//!     if let Event::Preview(preview) = event? {
//!         preview.image.save(format!("early-{}", preview.number))?;
//!     }
//! }
//! stream.result().await?.image().save("fog.png")?;
//! # Ok(())
//! # }
//! ```
//!
//! A [`Client`] is a connection; [`Client::image`] binds a model, and the calls of that [`ImageModel`] are sent when
//! they are awaited. Everything needs a tokio runtime. The generated messages are in [`v1`]; [`Client::image_service`]
//! and [`Client::model_service`] are the generated stubs on the same connection.
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod address;
mod assembly;
mod backoff;
mod builder;
mod byte_run;
mod call;
mod cancel;
mod channel;
mod client;
mod connection;
mod error;
mod event;
mod generation;
mod image;
mod model;
mod models;
mod params;
mod read;
mod request;
mod result;
mod resume;
mod save;
mod settings;
mod spare;
mod status;
mod stream;
mod upload;

#[cfg(test)]
mod tests;

/// The messages and clients of the package `imagegen.v1`.
// The comments are those of the .proto files, which are written for every language.
#[allow(missing_docs, rustdoc::all, clippy::all)]
pub mod v1 {
    tonic::include_proto!("imagegen.v1");
}

pub use bytes::Bytes;
pub use tonic::Code;
#[cfg(any(feature = "tls-ring", feature = "tls-aws-lc"))]
pub use tonic::transport::{Certificate, ClientTlsConfig, Identity};

pub use builder::ClientBuilder;
pub use call::{Answer, Draw, Edit, Outcome};
pub use channel::Channel;
pub use client::Client;
pub use error::{Error, FieldViolation};
pub use event::{Event, Preview};
pub use image::Image;
pub use model::ImageModel;
pub use models::ModelList;
pub use params::json_from_struct;
pub use result::{GeneratedImage, ImageResult};
pub use resume::Resume;
pub use stream::ImageStream;
pub use v1::{
    Attempt, AttemptOutcome, Billed, Cost, DeliveryMode, ErrorReason, GenerationStarted, ImageFailure, ImageOptions,
    ImageUsage, Model, ModelCapabilities, OnDisconnect, Phase, PlannedCall, Progress, UnreachableProvider, Warning,
    WarningReason,
};
