//! Rust client of imagegen: one typed gRPC API in front of every image model.
//!
//! Today this crate holds the generated stubs; a helper on top of them will follow.
#![forbid(unsafe_code)]

/// The messages and clients of the package `imagegen.v1`.
pub mod v1 {
    tonic::include_proto!("imagegen.v1");
}
