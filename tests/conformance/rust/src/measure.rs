//! Measuring calls.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use imagegen_client::v1::image_service_client::ImageServiceClient;
use imagegen_client::v1::image_stream_event::Event as Told;
use imagegen_client::v1::{self as api, GenerateRequest, ImageInput, ImageOptions, ImageResult, ImageStreamEvent};
use prost_types::value::Kind;
use prost_types::{ListValue, Struct};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use tonic::Streaming;

use crate::outcome::hex;
use crate::v1::{Face, Measure, Measured, Outcome, Step};
use crate::{Failed, helper, plain};

pub async fn run(step: &Step, wanted: Measure) -> Result<Outcome, Failed> {
    let calls = wanted.calls as usize;
    let parallel = (wanted.parallel.max(1) as usize).min(calls.max(1));
    let wish = Wish::of(wanted.request.unwrap_or_default());
    let measured = if step.face() == Face::Helper {
        let client = match helper::connect(step)? {
            Ok(client) => client,
            Err(error) => return Ok(Outcome { refused: error.to_string(), ..Default::default() }),
        };
        let model = client.image(&wish.model).preview_count(wish.preview_count).with_params(wish.params);
        timed(calls, parallel, || async {
            let result = model.generate(&wish.prompt).request_id(&wish.request_id).await?;
            Ok(result.images.iter().filter_map(|made| made.image.bytes()).map(|data| data.len() as u64).sum())
        })
        .await
    } else {
        let images = ImageServiceClient::new(plain::channel(step)?);
        timed(calls, parallel, || async {
            let request = plain::request(step, wish.request())?;
            let stream = images.clone().stream_generate(request).await?.into_inner();
            let (pictures, result) = collect(stream, wanted.checksum).await?;
            result.ok_or("the stream ended without a result")?;
            Ok(pictures.iter().map(|data| data.len() as u64).sum())
        })
        .await
    };
    match measured.map_err(|error| (error.downcast_ref::<imagegen_client::Error>().cloned(), error)) {
        Ok(measured) => Ok(Outcome { measured: Some(measured), ..Default::default() }),
        Err((Some(error), _)) => {
            let mut seen = Outcome::default();
            crate::outcome::failure(&mut seen, &error);
            Ok(seen)
        }
        Err((None, error)) => match error.downcast::<tonic::Status>() {
            Ok(status) => {
                let mut seen = Outcome::default();
                crate::outcome::plain_failure(&mut seen, &status);
                Ok(seen)
            }
            Err(error) => Err(error),
        },
    }
}

/// Makes one call, and then so many of them, so many at the same time; each tells its bytes.
async fn timed<F>(calls: usize, parallel: usize, call: impl Fn() -> F) -> Result<Measured, Failed>
where
    F: Future<Output = Result<u64, Failed>>,
{
    call().await?;
    let (begun, spent) = (Instant::now(), processor_time());
    let lanes = (0..parallel).map(|lane| {
        let call = &call;
        async move {
            let mut bytes = 0;
            for _ in (lane..calls).step_by(parallel) {
                bytes += call().await?;
            }
            Ok::<u64, Failed>(bytes)
        }
    });
    let bytes = try_join_all(lanes).await?.into_iter().sum();
    Ok(Measured {
        wall_seconds: begun.elapsed().as_secs_f64(),
        cpu_seconds: (processor_time() - spent).as_secs_f64(),
        bytes,
    })
}

/// What a user has in hand before a call.
struct Wish {
    model: String,
    prompt: String,
    preview_count: u32,
    params: Map<String, Value>,
    request_id: String,
}

impl Wish {
    fn of(request: GenerateRequest) -> Self {
        Self {
            params: helper::params(&request.params),
            model: request.model,
            prompt: request.input.unwrap_or_default().prompt,
            preview_count: request.options.and_then(|options| options.preview_count).unwrap_or_default(),
            request_id: request.request_id,
        }
    }

    /// What a user of the stubs makes of it for each call.
    fn request(&self) -> GenerateRequest {
        GenerateRequest {
            model: self.model.clone(),
            input: Some(ImageInput { prompt: self.prompt.clone() }),
            options: Some(ImageOptions { preview_count: Some(self.preview_count), ..Default::default() }),
            params: self.params.iter().map(|(provider, values)| (provider.clone(), object(values))).collect(),
            request_id: self.request_id.clone(),
            ..Default::default()
        }
    }
}

fn object(value: &Value) -> Struct {
    let fields = value.as_object().into_iter().flatten();
    Struct { fields: fields.map(|(key, value)| (key.clone(), carried(value))).collect() }
}

fn carried(value: &Value) -> prost_types::Value {
    let kind = match value {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(*truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text.clone()),
        Value::Array(items) => Kind::ListValue(ListValue { values: items.iter().map(carried).collect() }),
        Value::Object(_) => Kind::StructValue(object(value)),
    };
    prost_types::Value { kind: Some(kind) }
}

/// Reads a stream to its end: the bytes of the finished images, in the order in which they came, and the result.
async fn collect(
    mut stream: Streaming<ImageStreamEvent>,
    checksum: bool,
) -> Result<(Vec<Vec<u8>>, Option<ImageResult>), Failed> {
    let (mut pictures, mut result) = (Vec::new(), None);
    let (mut facts, mut data, mut digest) = (api::Image::default(), Vec::new(), Sha256::new());
    while let Some(message) = stream.message().await? {
        match message.event {
            Some(Told::Complete(made)) => {
                facts = made.image.unwrap_or_default();
                data = Vec::with_capacity(facts.size_bytes as usize);
                digest = Sha256::new();
            }
            Some(Told::Chunk(chunk)) if chunk.preview_number == 0 => {
                data.extend_from_slice(&chunk.data);
                if checksum {
                    digest.update(&chunk.data);
                }
                if data.len() < facts.size_bytes as usize {
                    continue;
                }
                if checksum && hex(&std::mem::take(&mut digest).finalize()) != facts.sha256 {
                    return Err("the image is damaged".into());
                }
                pictures.push(std::mem::take(&mut data));
            }
            Some(Told::Result(told)) => result = Some(told),
            _ => {}
        }
    }
    Ok((pictures, result))
}

/// User and system time of this process.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
