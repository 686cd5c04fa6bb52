//! Measuring calls.

use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use imagegen_client::v1::image_service_client::ImageServiceClient;
use imagegen_client::v1::image_stream_event::Event as Told;
use imagegen_client::v1::{GenerateRequest, ImageStreamEvent};
use rustix::time::{ClockId, clock_gettime};
use sha2::{Digest, Sha256};
use tonic::transport::Channel;

use crate::v1::{Face, Measure, Measured, Outcome, Step};
use crate::{Failed, helper, plain};

pub async fn run(step: &Step, wanted: Measure) -> Result<Outcome, Failed> {
    let request = wanted.request.clone().unwrap_or_default();
    let calls = wanted.calls as usize;
    let parallel = (wanted.parallel.max(1) as usize).min(calls.max(1));
    let measured = if step.face() == Face::Helper {
        let client = match helper::connect(step)? {
            Ok(client) => client,
            Err(error) => return Ok(Outcome { refused: error.to_string(), ..Default::default() }),
        };
        let model = helper::model(&client, step, &request);
        timed(calls, parallel, || async {
            let result = helper::draw(model.stream(helper::prompt(&request)), &request).await?.into_result().await?;
            Ok(result.images.iter().filter_map(|made| made.image.bytes()).map(|data| data.len() as u64).sum())
        })
        .await
    } else {
        let images = ImageServiceClient::new(plain::channel(step)?);
        timed(calls, parallel, || receive(step, images.clone(), request.clone(), wanted.checksum)).await
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

async fn receive(
    step: &Step,
    mut images: ImageServiceClient<Channel>,
    request: GenerateRequest,
    checksum: bool,
) -> Result<u64, Failed> {
    let mut stream = images.stream_generate(plain::request(step, request)?).await?.into_inner();
    let mut digest = Sha256::new();
    let mut bytes = 0;
    while let Some(ImageStreamEvent { event, .. }) = stream.message().await? {
        match event {
            Some(Told::Complete(_)) if checksum => digest = Sha256::new(),
            Some(Told::Chunk(chunk)) if chunk.preview_number == 0 => {
                bytes += chunk.data.len() as u64;
                if checksum {
                    digest.update(&chunk.data);
                }
            }
            _ => {}
        }
    }
    std::hint::black_box(digest.finalize());
    Ok(bytes)
}

/// User and system time of this process.
fn processor_time() -> Duration {
    let now = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}
