//! Which models there are and what they can do.

use crate::connection::{Connection, Deadline, free, timed};
use crate::v1::{GetModelRequest, ListModelsRequest};
use crate::{Error, Model, UnreachableProvider};

/// The models that the caller may use.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ModelList {
    /// Ordered by name.
    pub models: Vec<Model>,
    /// Providers whose list could not be read; their models are missing.
    pub unreachable: Vec<UnreachableProvider>,
}

/// All pages; the time limit is for each of them.
pub(crate) async fn list(connection: &Connection, provider: String) -> Result<ModelList, Error> {
    let mut list = ModelList { models: Vec::new(), unreachable: Vec::new() };
    let mut asked = ListModelsRequest { provider, ..Default::default() };
    loop {
        let deadline = connection.deadline(None);
        let page = free(deadline, connection.models().list_models(timed(asked.clone(), deadline))).await?;
        list.models.extend(page.models);
        list.unreachable = page.unreachable; // the same in every page
        if page.next_page_token.is_empty() {
            return Ok(list);
        }
        asked.page_token = page.next_page_token;
    }
}

/// One model, or the first candidate of an alias.
pub(crate) async fn get(connection: &Connection, model: String, deadline: Deadline) -> Result<Model, Error> {
    let asked = timed(GetModelRequest { model }, deadline);
    Ok(free(deadline, connection.models().get_model(asked)).await?.model.unwrap_or_default())
}
