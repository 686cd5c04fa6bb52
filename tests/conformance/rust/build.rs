//! Makes the messages of the driver's protocol, with those of the API taken from the client.

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use prost::Message;

fn main() -> Result<(), Box<dyn Error>> {
    let roots = ["../proto", "../../../proto"];
    for root in roots {
        println!("cargo::rerun-if-changed={root}");
    }
    let descriptors = protox::compile(["conformance/v1/driver.proto"], roots)?;
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("driver.binpb"), descriptors.encode_to_vec())?;
    prost_build::Config::new().extern_path(".imagegen.v1", "::imagegen_client::v1").compile_fds(descriptors)?;
    Ok(())
}
