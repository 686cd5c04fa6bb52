//! Steps done with the generated stubs alone, over a channel with default settings.

use std::collections::HashMap;
use std::time::Duration;

use imagegen_client::v1::image_service_client::ImageServiceClient;
use imagegen_client::v1::image_stream_event::Event as Told;
use imagegen_client::v1::{self as api, GeneratedImage, ImageStreamEvent};
use imagegen_client::{Certificate, ClientTlsConfig};
use sha2::{Digest, Sha256};
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};

use crate::Failed;
use crate::outcome::{hex, plain_failure, push, sha256};
use crate::v1::{Outcome, Picture, Step, event::Kind, step::Operation};

pub fn channel(step: &Step) -> Result<Channel, Failed> {
    if step.ca_file.is_empty() {
        return Ok(Endpoint::from_shared(format!("http://{}", step.address))?.connect_lazy());
    }
    let roots = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(std::fs::read(&step.ca_file)?));
    Ok(Endpoint::from_shared(format!("https://{}", step.address))?.tls_config(roots)?.connect_lazy())
}

pub fn request<M>(step: &Step, message: M) -> Result<Request<M>, Failed> {
    let mut request = Request::new(message);
    if !step.token.is_empty() {
        request.metadata_mut().insert("authorization", format!("Bearer {}", step.token).parse()?);
    }
    if step.timeout_ms != 0 {
        request.set_timeout(Duration::from_millis(step.timeout_ms.into()));
    }
    Ok(request)
}

pub async fn run(step: &Step, operation: Operation) -> Result<Outcome, Failed> {
    if step.retrying_channel {
        return Err("tonic has no automatic retries: there is nothing to switch on".into());
    }
    let mut images = ImageServiceClient::new(channel(step)?);
    let mut seen = Outcome::default();
    let done = match operation {
        Operation::Generate(asked) => unary(images.generate(request(step, asked)?).await, &mut seen),
        Operation::Edit(asked) => unary(images.edit(request(step, asked)?).await, &mut seen),
        Operation::Stream(asked) => watch(images.stream_generate(request(step, asked)?).await, step, &mut seen).await,
        Operation::StreamEdit(asked) => watch(images.stream_edit(request(step, asked)?).await, step, &mut seen).await,
        Operation::Resume(asked) => watch(images.resume(request(step, asked)?).await, step, &mut seen).await,
        Operation::Cancel(asked) => images.cancel(request(step, asked)?).await.map(|told| {
            seen.stopped = Some(told.into_inner().stopped);
        }),
        Operation::Read(asked) => match images.read_image(request(step, asked)?).await {
            Ok(pieces) => read(pieces.into_inner(), &mut seen).await,
            Err(status) => Err(status),
        },
        Operation::Explain(asked) => images.explain(request(step, asked)?).await.map(|told| {
            seen.explained = Some(told.into_inner());
        }),
        Operation::UploadFile(_) | Operation::ListModels(_) | Operation::GetModel(_) | Operation::Measure(_) => {
            return Err("this step is for the helper only".into());
        }
    };
    if let Err(status) = done {
        plain_failure(&mut seen, &status);
    }
    Ok(seen)
}

fn unary(told: Result<Response<api::ImageResult>, Status>, seen: &mut Outcome) -> Result<(), Status> {
    let mut result = told?.into_inner();
    for made in &mut result.images {
        let data = made.image.as_mut().map(|image| std::mem::take(&mut image.data)).unwrap_or_default();
        if !data.is_empty() {
            seen.pictures.push(Picture {
                size_bytes: data.len() as u32,
                sha256: sha256(&data),
                ..opening(made.index, 0, made.clone())
            });
        }
    }
    seen.result = Some(result);
    Ok(())
}

/// A picture whose bytes are not here yet.
fn opening(index: u32, preview_number: u32, made: GeneratedImage) -> Picture {
    let media_type = made.image.as_ref().map(|image| image.media_type.clone()).unwrap_or_default();
    Picture { index, preview_number, media_type, made: Some(made), ..Default::default() }
}

async fn read(mut pieces: Streaming<api::ReadImageResponse>, seen: &mut Outcome) -> Result<(), Status> {
    let mut data = Vec::new();
    while let Some(piece) = pieces.message().await? {
        seen.image = seen.image.take().or(piece.image);
        data.extend_from_slice(&piece.data);
    }
    let made = GeneratedImage { image: seen.image.clone(), ..Default::default() };
    let picture = Picture { size_bytes: data.len() as u32, sha256: sha256(&data), ..opening(0, 0, made) };
    seen.pictures = vec![picture];
    Ok(())
}

async fn watch(
    told: Result<Response<Streaming<ImageStreamEvent>>, Status>,
    step: &Step,
    seen: &mut Outcome,
) -> Result<(), Status> {
    let (initial, mut stream, _) = told?.into_parts();
    seen.generation_id = text(&initial, "imagegen-generation-id");
    seen.request_id = text(&initial, "imagegen-request-id");
    let mut run = None;
    let mut finished = HashMap::new();
    let mut messages = 0;
    let ended = loop {
        if step.leave.is_some_and(|leave| messages >= leave.after_events) {
            break Ok(());
        }
        match stream.message().await {
            Ok(Some(event)) => take(event, &mut run, &mut finished, seen),
            Ok(None) => break Ok(()),
            Err(status) => break Err(status),
        }
        messages += 1;
    };
    end_run(&mut run, seen);
    ended // dropping the stream cancels the RPC
}

/// Chunks of one image in a row: which one, and their bytes so far.
type Run = Option<(Picture, Sha256)>;

/// By index, the bytes of images whose opening came.
type Finished = HashMap<u32, Vec<u8>>;

fn take(event: ImageStreamEvent, run: &mut Run, finished: &mut Finished, seen: &mut Outcome) {
    seen.last_sequence = seen.last_sequence.max(event.sequence);
    if let Some(Told::Chunk(chunk)) = &event.event {
        let same = |picture: &Picture| (picture.index, picture.preview_number) == (chunk.index, chunk.preview_number);
        if !run.as_ref().is_some_and(|(picture, _)| same(picture)) {
            end_run(run, seen);
        }
        let fresh = || {
            let (index, preview_number) = (chunk.index, chunk.preview_number);
            (Picture { index, preview_number, ..Default::default() }, Sha256::new())
        };
        let (picture, digest) = run.get_or_insert_with(fresh);
        picture.size_bytes += chunk.data.len() as u32;
        digest.update(&chunk.data);
        if let (0, Some(data)) = (chunk.preview_number, finished.get_mut(&chunk.index)) {
            data.extend_from_slice(&chunk.data);
        }
        return;
    }
    if matches!(event.event, Some(Told::Progress(_))) {
        seen.progress_events += 1; // left out of the events, so it does not part a run either
        return;
    }
    end_run(run, seen);
    match event.event {
        Some(Told::Started(started)) => {
            seen.generation_id = started.generation_id.clone();
            seen.request_id = started.request_id.clone();
            push(seen, Kind::Started(started));
        }
        Some(Told::Preview(preview)) => {
            let made = GeneratedImage { image: preview.image, metadata: preview.metadata, ..Default::default() };
            push(seen, Kind::Preview(opening(preview.index, preview.number, made)));
        }
        Some(Told::Complete(made)) => {
            finished.insert(made.index, Vec::new());
            push(seen, Kind::Complete(opening(made.index, 0, made)));
        }
        Some(Told::Failure(failure)) => push(seen, Kind::Failure(failure)),
        Some(Told::Result(result)) => {
            seen.generation_id = result.generation_id.clone();
            seen.request_id = result.request_id.clone();
            for made in &result.images {
                if let Some(data) = finished.get(&made.index).filter(|data| !data.is_empty()) {
                    let (size_bytes, sha256) = (data.len() as u32, sha256(data));
                    seen.pictures.push(Picture { size_bytes, sha256, ..opening(made.index, 0, made.clone()) });
                }
            }
            seen.result = Some(result);
            push(seen, Kind::Result(true));
        }
        Some(Told::Progress(_) | Told::Chunk(_)) => {}
        None => push(seen, Kind::Unknown(true)),
    }
}

fn end_run(run: &mut Run, seen: &mut Outcome) {
    if let Some((mut picture, digest)) = run.take() {
        picture.sha256 = hex(&digest.finalize());
        push(seen, Kind::Chunks(picture));
    }
}

fn text(metadata: &MetadataMap, key: &str) -> String {
    metadata.get(key).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}
