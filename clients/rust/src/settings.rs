//! What a model or a call may say beside its prompt.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::v1::{DeliveryMode, ImageOptions, OnDisconnect};
use crate::{Error, params};

#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    pub(crate) options: ImageOptions,
    pub(crate) params: Map<String, Value>,
    /// `with_params` was given no object.
    pub(crate) bad_params: bool,
    pub(crate) strict: bool,
    pub(crate) delivery: DeliveryMode,
    pub(crate) timeout: Option<Duration>,
    pub(crate) resumable: bool,
    pub(crate) on_disconnect: OnDisconnect,
    pub(crate) fallback_models: Option<Vec<String>>,
    pub(crate) retry_ambiguous: Option<bool>,
    pub(crate) fallback_on_content_filtered: Option<bool>,
}

impl Settings {
    pub(crate) fn add_options(&mut self, given: ImageOptions) {
        let mine = &mut self.options;
        macro_rules! lay {
            (optional: $($field:ident)*; texts: $($text:ident)*) => {
                $(if given.$field.is_some() { mine.$field = given.$field; })*
                $(if !given.$text.is_empty() { mine.$text = given.$text; })*
            };
        }
        lay!(
            optional: count size compression seed preview_count;
            texts: aspect_ratio resolution quality background format negative_prompt
        );
    }

    pub(crate) fn add_params(&mut self, given: Value) {
        match given {
            Value::Object(given) => params::merge(&mut self.params, given),
            Value::Null => {}
            _ => self.bad_params = true,
        }
    }

    /// What can be seen to be wrong before anything is sent.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.bad_params {
            return Err(Error::refused("params", "params are a JSON object of objects, one for each provider"));
        }
        if self.resumable && self.on_disconnect == OnDisconnect::Cancel {
            return Err(Error::refused(
                "on_disconnect",
                "a generation that ends with its connection cannot be resumed: on_disconnect is CANCEL",
            ));
        }
        Ok(())
    }
}

/// The setters of everything that holds for a model or a call. `self.settings` is an Arc of what they set.
macro_rules! setters {
    () => {
        /// Its own settings: shared with the model, or its calls, until something is said.
        fn settings_mut(&mut self) -> &mut $crate::settings::Settings {
            std::sync::Arc::make_mut(&mut self.settings)
        }

        /// Images wanted. Unset = 1.
        pub fn count(mut self, count: u32) -> Self {
            self.settings_mut().options.count = Some(count);
            self
        }

        /// Width and height in pixels. Excludes `aspect_ratio` and `resolution`.
        pub fn size(mut self, width: u32, height: u32) -> Self {
            self.settings_mut().options.size = Some($crate::v1::PixelSize { width, height });
            self
        }

        /// Width to height: "16:9".
        pub fn aspect_ratio(mut self, aspect_ratio: impl Into<String>) -> Self {
            self.settings_mut().options.aspect_ratio = aspect_ratio.into();
            self
        }

        /// "1K", "2K", "4K". May stand beside `aspect_ratio`.
        pub fn resolution(mut self, resolution: impl Into<String>) -> Self {
            self.settings_mut().options.resolution = resolution.into();
            self
        }

        /// As the model names it: "low", "high".
        pub fn quality(mut self, quality: impl Into<String>) -> Self {
            self.settings_mut().options.quality = quality.into();
            self
        }

        /// As the model names it: "transparent", "opaque".
        pub fn background(mut self, background: impl Into<String>) -> Self {
            self.settings_mut().options.background = background.into();
            self
        }

        /// Without "image/": "png", "jpeg", "webp".
        pub fn format(mut self, format: impl Into<String>) -> Self {
            self.settings_mut().options.format = format.into();
            self
        }

        /// 0 to 100, as the provider counts.
        pub fn compression(mut self, compression: u32) -> Self {
            self.settings_mut().options.compression = Some(compression);
            self
        }

        /// The same seed and request give the same picture only where the model promises it.
        pub fn seed(mut self, seed: i64) -> Self {
            self.settings_mut().options.seed = Some(seed);
            self
        }

        /// What not to draw.
        pub fn negative_prompt(mut self, negative_prompt: impl Into<String>) -> Self {
            self.settings_mut().options.negative_prompt = negative_prompt.into();
            self
        }

        /// Previews wanted per image, at most 16. Unset = 2 in streams, none in `generate` and `edit`.
        pub fn preview_count(mut self, preview_count: u32) -> Self {
            self.settings_mut().options.preview_count = Some(preview_count);
            self
        }

        /// Several wishes at once, laid over those that are there: a field that is set replaces an earlier one.
        pub fn with_options(mut self, options: $crate::ImageOptions) -> Self {
            self.settings_mut().add_options(options);
            self
        }

        /// The provider's own parameters, which reach it unmodified: `json!({"openai": {"moderation": "low"}})`. Joined
        /// key by key with those that are there. A number from 2^53 in magnitude on is refused when the call is sent,
        /// as it would arrive damaged. (NaN and infinity never come so far: serde_json makes null of them.)
        pub fn with_params(mut self, params: impl Into<serde_json::Value>) -> Self {
            self.settings_mut().add_params(params.into());
            self
        }

        /// True: refuse, before anything is spent, what would be a warning.
        pub fn strict(mut self, strict: bool) -> Self {
            self.settings_mut().strict = strict;
            self
        }

        /// How bytes come back: `Inline` (unset) with the answer; `Reference` as facts and an id for
        /// [`crate::Client::read`].
        pub fn delivery(mut self, delivery: $crate::DeliveryMode) -> Self {
            self.settings_mut().delivery = delivery;
            self
        }

        /// When the call is given up. Unset = that of the client.
        pub fn timeout(mut self, timeout: std::time::Duration) -> Self {
            self.settings_mut().timeout = Some(timeout);
            self
        }

        /// True: read on where the connection broke, also in the middle of an image, without buying twice.
        pub fn resumable(mut self, resumable: bool) -> Self {
            self.settings_mut().resumable = resumable;
            self
        }

        /// What it means that the reader has gone away. Unset = `Detach` with a `request_id`, else `Cancel`.
        pub fn on_disconnect(mut self, on_disconnect: $crate::OnDisconnect) -> Self {
            self.settings_mut().on_disconnect = on_disconnect;
            self
        }

        /// Models tried in this order when the provider fails, while nothing was accepted or shown.
        pub fn fallback_models<M: Into<String>>(mut self, models: impl IntoIterator<Item = M>) -> Self {
            self.settings_mut().fallback_models = Some(models.into_iter().map(Into::into).collect());
            self
        }

        /// True: repeat also an attempt that may have been billed. Unset = only if the server's configuration says so.
        pub fn retry_ambiguous(mut self, retry_ambiguous: bool) -> Self {
            self.settings_mut().retry_ambiguous = Some(retry_ambiguous);
            self
        }

        /// True: try the next model when this one's moderation refuses.
        pub fn fallback_on_content_filtered(mut self, fallback: bool) -> Self {
            self.settings_mut().fallback_on_content_filtered = Some(fallback);
            self
        }
    };
}
pub(crate) use setters;
