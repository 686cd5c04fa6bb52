//! Makes the stubs from the API's .proto files. protox reads them, so that nobody needs protoc.

use std::error::Error;
use std::path::Path;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());
    let files = ["imagegen/v1/image_service.proto", "imagegen/v1/model_service.proto"];
    let descriptors = protox::compile(files, [root])?;
    // Bytes, not Vec: image data is then a view of the receive buffer instead of a copy.
    tonic_prost_build::configure().build_server(false).bytes(".imagegen.v1").compile_fds(descriptors)?;
    Ok(())
}
