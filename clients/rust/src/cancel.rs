//! Telling the server to stop a generation.

use std::time::Duration;

use tokio::time::Instant;

use crate::Error;
use crate::connection::{Connection, Deadline, free, timed};
use crate::v1::cancel_request::Generation;
use crate::v1::{CancelRequest, ErrorReason};

/// A Cancel in the background that the server does not answer in this time is given up.
const LIMIT: Duration = Duration::from_secs(10);

/// Stops a generation; whether it was running.
pub(crate) async fn cancel(connection: &Connection, generation: Generation, deadline: Deadline) -> Result<bool, Error> {
    let request = timed(CancelRequest { generation: Some(generation) }, deadline);
    Ok(free(deadline, connection.images().cancel(request)).await?.stopped)
}

/// Stops a generation. If the server knows none of that name, there is nothing to stop.
pub(crate) async fn if_there(connection: Connection, generation: Generation) -> Result<(), Error> {
    let deadline = Instant::now().checked_add(LIMIT);
    match cancel(&connection, generation, deadline).await {
        Err(error) if error.reason() == ErrorReason::GenerationNotFound => Ok(()),
        told => told.map(drop),
    }
}
