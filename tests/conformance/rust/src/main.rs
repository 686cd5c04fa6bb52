//! Does the steps of the conformance suite: one line of protobuf JSON in, one out.

mod helper;
mod measure;
mod outcome;
mod plain;

/// The driver's protocol.
mod v1 {
    include!(concat!(env!("OUT_DIR"), "/conformance.v1.rs"));
}

use std::error::Error;

use prost::Message;
use prost_reflect::{DescriptorPool, DeserializeOptions, DynamicMessage, MessageDescriptor};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, stdin, stdout};

use v1::{Face, Outcome, Step, step::Operation};

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/driver.binpb"));

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let pool = DescriptorPool::decode(DESCRIPTORS)?;
    let message = |name| pool.get_message_by_name(name).ok_or("the descriptors have no such message");
    let (step, outcome) = (message("conformance.v1.Step")?, message("conformance.v1.Outcome")?);
    let mut lines = BufReader::new(stdin()).lines();
    let mut out = stdout();
    while let Some(line) = lines.next_line().await? {
        let done = match read(&step, &line) {
            Ok(step) => run(step).await,
            Err(error) => unsupported(format!("the step cannot be read: {error}")),
        };
        let told = DynamicMessage::decode(outcome.clone(), &*done.encode_to_vec())?;
        out.write_all(format!("{}\n", serde_json::to_string(&told)?).as_bytes()).await?;
        out.flush().await?;
    }
    Ok(())
}

fn read(step: &MessageDescriptor, line: &str) -> Result<Step, Failed> {
    let mut json = serde_json::Deserializer::from_str(line);
    let options = DeserializeOptions::new().deny_unknown_fields(true);
    let read = DynamicMessage::deserialize_with_options(step.clone(), &mut json, &options)?;
    json.end()?;
    Ok(read.transcode_to()?)
}

async fn run(step: Step) -> Outcome {
    let done = match (step.face(), step.operation.clone()) {
        (_, None) => return unsupported("the step has no operation"),
        (Face::Unspecified, _) => return unsupported("the step has no face"),
        (_, Some(Operation::Measure(wanted))) => measure::run(&step, wanted).await,
        (Face::Helper, Some(operation)) => helper::run(&step, operation).await,
        (Face::Plain, Some(operation)) => plain::run(&step, operation).await,
    };
    done.unwrap_or_else(|error| unsupported(error.to_string()))
}

fn unsupported(why: impl Into<String>) -> Outcome {
    Outcome { unsupported: why.into(), ..Default::default() }
}
