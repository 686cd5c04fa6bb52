//! Makes the stubs from the API's .proto files. protox reads them, so that nobody needs protoc.

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use prost_types::FileDescriptorSet;
use prost_types::method_options::IdempotencyLevel;

fn main() -> Result<(), Box<dyn Error>> {
    // A link in a checkout, a folder in a published crate. Where links are not checked out it is a file.
    let root = if Path::new("proto").is_dir() { Path::new("proto") } else { Path::new("../../proto") };
    let files = ["imagegen/v1/image_service.proto", "imagegen/v1/model_service.proto"];
    let descriptors = protox::compile(files, [root])?;
    for name in descriptors.file.iter().map(|file| file.name()).filter(|name| name.starts_with("imagegen/")) {
        println!("cargo::rerun-if-changed={}", root.join(name).display());
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("free_methods.rs"), free_methods(&descriptors))?;
    // Bytes, not Vec: image data is then a view of the receive buffer instead of a copy.
    tonic_prost_build::configure()
        .build_server(false)
        .emit_rerun_if_changed(false)
        .bytes(".imagegen.v1")
        .compile_fds(descriptors)?;
    Ok(())
}

/// A Rust array of the paths of all methods that declare that they may be called twice.
fn free_methods(descriptors: &FileDescriptorSet) -> String {
    let mut paths = Vec::new();
    for file in &descriptors.file {
        for service in &file.service {
            for method in &service.method {
                let level = method.options.as_ref().map(|options| options.idempotency_level());
                if matches!(level, Some(IdempotencyLevel::NoSideEffects | IdempotencyLevel::Idempotent)) {
                    paths.push(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
                }
            }
        }
    }
    format!("{paths:?}")
}
