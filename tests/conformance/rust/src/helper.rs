//! Steps done with the helper, through its public API only.

use std::collections::HashMap;
use std::time::Duration;

use imagegen_client::v1::image_source::Source;
use imagegen_client::v1::{
    EditRequest, GenerateRequest, ImageSource, RetryPolicy, cancel_request, explain_request, resume_request,
};
use imagegen_client::{Certificate, Client, ClientTlsConfig, Draw, Edit, Error, Event, Image, ImageStream, Outcome};
use imagegen_client::{ImageModel, json_from_struct};
use prost_types::Struct;
use serde_json::{Map, Number, Value};

use crate::Failed;
use crate::outcome::{facts, failure, of_image, of_preview, of_read, push, result};
use crate::v1::{self, Step, event::Kind, leave::How, step::Operation};

pub fn connect(step: &Step) -> Result<Result<Client, Error>, Failed> {
    let mut builder = Client::builder().address(&step.address).token(&step.token);
    if step.timeout_ms != 0 {
        builder = builder.timeout(Duration::from_millis(step.timeout_ms.into()));
    }
    if !step.ca_file.is_empty() {
        let roots = Certificate::from_pem(std::fs::read(&step.ca_file)?);
        builder = builder.tls_config(ClientTlsConfig::new().ca_certificate(roots));
    }
    Ok(builder.connect())
}

pub async fn run(step: &Step, operation: Operation) -> Result<v1::Outcome, Failed> {
    let mut seen = v1::Outcome::default();
    let streams = matches!(operation, Operation::Stream(_) | Operation::StreamEdit(_) | Operation::Resume(_));
    let done = match connect(step)? {
        Ok(client) => perform(&client, step, operation, &mut seen).await,
        Err(error) => Err(error.into()),
    };
    match done.map_err(|error| error.downcast::<Error>()) {
        Ok(()) => {}
        Err(Ok(error)) => {
            // A stream that never opened is known by its error alone.
            if streams && seen.generation_id.is_empty() {
                seen.generation_id = error.generation_id().to_owned();
            }
            if streams && seen.request_id.is_empty() {
                seen.request_id = error.request_id().to_owned();
            }
            failure(&mut seen, &error);
        }
        Err(Err(other)) => return Err(other),
    }
    Ok(seen)
}

async fn perform(client: &Client, step: &Step, operation: Operation, seen: &mut v1::Outcome) -> Result<(), Failed> {
    match operation {
        Operation::Generate(asked) => {
            let told = draw(model(client, step, &asked).generate(prompt(&asked)), &asked).await?;
            result(seen, &told);
        }
        Operation::Stream(asked) => {
            let stream = draw(model(client, step, &asked).stream(prompt(&asked)), &asked).await?;
            watch(stream, step, seen).await?;
        }
        Operation::Edit(asked) => {
            let told = edit(edit_model(client, step, &asked).edit(edit_prompt(&asked)), asked).await?;
            result(seen, &told);
        }
        Operation::StreamEdit(asked) => {
            let stream = edit(edit_model(client, step, &asked).stream_edit(edit_prompt(&asked)), asked).await?;
            watch(stream, step, seen).await?;
        }
        Operation::Resume(asked) => {
            seen.last_sequence = asked.after_sequence;
            let resume = match asked.generation.clone() {
                Some(resume_request::Generation::GenerationId(id)) => client.resume(id),
                Some(resume_request::Generation::RequestId(id)) => client.resume_request(id),
                None => client.resume(""),
            };
            let delivery = asked.delivery.map(|delivery| delivery.mode()).unwrap_or_default();
            watch(resume.after_sequence(asked.after_sequence).delivery(delivery).await?, step, seen).await?;
        }
        Operation::Cancel(asked) => {
            seen.stopped = Some(match asked.generation {
                Some(cancel_request::Generation::GenerationId(id)) => client.cancel(id).await?,
                Some(cancel_request::Generation::RequestId(id)) => client.cancel_request(id).await?,
                None => client.cancel("").await?,
            });
        }
        Operation::Read(asked) => {
            let image = client.read_image(asked.image_id).await?;
            seen.image = Some(facts(&image));
            seen.pictures = vec![of_read(&image)];
        }
        Operation::UploadFile(path) => {
            let image = Image::from_path(path)?;
            seen.image = Some(facts(&client.upload(image).await?));
        }
        Operation::Explain(asked) => {
            let calls = match asked.request {
                Some(explain_request::Request::Generate(asked)) => {
                    draw(model(client, step, &asked).explain(prompt(&asked)), &asked).await?
                }
                Some(explain_request::Request::Edit(asked)) => {
                    edit(edit_model(client, step, &asked).explain_edit(edit_prompt(&asked)), asked).await?
                }
                None => return Err("the step has nothing to explain".into()),
            };
            seen.explained = Some(imagegen_client::v1::ExplainResponse { calls });
        }
        Operation::ListModels(asked) => {
            let list = client.models(Some(&asked.provider)).await?;
            (seen.models, seen.unreachable) = (list.models, list.unreachable);
        }
        Operation::GetModel(asked) => seen.models = vec![client.model(asked.model).await?],
        Operation::Measure(_) => return Err("a measure is no step of the helper".into()),
    }
    Ok(())
}

/// Reads a stream to its end, or leaves it as the step says.
async fn watch(mut stream: ImageStream, step: &Step, seen: &mut v1::Outcome) -> Result<(), Failed> {
    let ended = read(&mut stream, step, seen).await;
    seen.generation_id = stream.generation_id().to_owned();
    seen.request_id = stream.request_id().to_owned();
    seen.last_sequence = stream.last_sequence();
    match (ended?, step.leave.map(|leave| leave.how())) {
        (true, _) => result(seen, &stream.result().await?),
        (false, Some(How::Abort)) => stream.abort().await?,
        (false, _) => drop(stream),
    }
    Ok(())
}

/// Whether the stream came to its end.
async fn read(stream: &mut ImageStream, step: &Step, seen: &mut v1::Outcome) -> Result<bool, Error> {
    loop {
        if step.leave.is_some_and(|leave| seen.events.len() >= leave.after_events as usize) {
            return Ok(false);
        }
        match stream.next().await.transpose()? {
            None => return Ok(true),
            Some(Event::Started(started)) => push(seen, Kind::Started(started)),
            Some(Event::Progress(_)) => seen.progress_events += 1,
            Some(Event::Preview(preview)) => push(seen, Kind::Preview(of_preview(&preview))),
            Some(Event::Complete(image)) => push(seen, Kind::Complete(of_image(&image))),
            Some(Event::Failed(failure)) => push(seen, Kind::Failure(failure)),
            Some(_) => {}
        }
    }
}

fn prompt(asked: &GenerateRequest) -> String {
    asked.input.as_ref().map(|input| input.prompt.clone()).unwrap_or_default()
}

fn edit_prompt(asked: &EditRequest) -> String {
    asked.input.as_ref().map(|input| input.prompt.clone()).unwrap_or_default()
}

/// The model bound with what both kinds of requests may say.
macro_rules! bound {
    ($client:ident, $step:ident, $asked:ident) => {{
        let mut model = $client.image(&$asked.model).strict($asked.strict).resumable($step.resumable);
        if let Some(options) = &$asked.options {
            model = model.with_options(options.clone());
        }
        model = model.with_params(params(&$asked.params));
        let delivery = $asked.delivery.map(|delivery| delivery.mode()).unwrap_or_default();
        retry(model.delivery(delivery).on_disconnect($asked.on_disconnect()), $asked.retry.as_ref())
    }};
}

fn model(client: &Client, step: &Step, asked: &GenerateRequest) -> ImageModel {
    bound!(client, step, asked)
}

fn edit_model(client: &Client, step: &Step, asked: &EditRequest) -> ImageModel {
    bound!(client, step, asked)
}

fn retry(model: ImageModel, asked: Option<&RetryPolicy>) -> ImageModel {
    let Some(asked) = asked else { return model };
    model
        .fallback_models(asked.fallback_models.clone())
        .retry_ambiguous(asked.retry_ambiguous)
        .fallback_on_content_filtered(asked.fallback_on_content_filtered)
}

async fn draw<T: Outcome>(call: Draw<T>, asked: &GenerateRequest) -> Result<T, Error> {
    call.request_id(&asked.request_id).await
}

async fn edit<T: Outcome>(call: Edit<T>, asked: EditRequest) -> Result<T, Error> {
    let input = asked.input.unwrap_or_default();
    let call = call.request_id(asked.request_id).images(input.images.into_iter().map(image));
    match input.mask {
        Some(mask) => call.mask(image(mask)).await,
        None => call.await,
    }
}

fn image(given: ImageSource) -> Image {
    let image = match given.source {
        Some(Source::Data(data)) => Image::from_bytes(data),
        Some(Source::ImageId(id)) => Image::from_id(id),
        Some(Source::Url(url)) => Image::from_url(url),
        None => Image::default(),
    };
    image.with_media_type(given.media_type)
}

/// Parameters as a caller would write them.
pub fn params(asked: &HashMap<String, Struct>) -> Map<String, Value> {
    asked.iter().map(|(provider, values)| (provider.clone(), whole(Value::Object(json_from_struct(values))))).collect()
}

/// JSON with whole numbers as such, as a caller would write them.
fn whole(value: Value) -> Value {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(double) if double.fract() == 0.0 && double.abs() < 1e18 => Value::Number(Number::from(double as i64)),
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole).collect(),
        Value::Object(values) => values.into_iter().map(|(key, value)| (key, whole(value))).collect(),
        other => other,
    }
}
