//! What is sent for what was said.

use serde_json::{Value, json};

use super::log::{Log, facts, short_log, small};
use super::server::{Server, message, ok};
use crate::v1::image_source::Source;
use crate::v1::{self, *};
use crate::{Image, ImageModel, json_from_struct, params};

async fn sent(say: impl FnOnce(ImageModel) -> crate::Draw<crate::ImageResult>) -> GenerateRequest {
    let log = Log::start(short_log(), []).await;
    say(log.server.client().image("sandbox/scene")).await.unwrap();
    log.server.calls()[0].request()
}

fn carried(params: Value) -> Result<Value, crate::Error> {
    let Value::Object(params) = params else { panic!("no object") };
    let carried = params::to_proto(&params)?.into_iter();
    Ok(carried.map(|(provider, values)| (provider, Value::Object(json_from_struct(&values)))).collect())
}

/// Every kind of JSON arrives as it was; numbers are doubles.
#[test]
fn params_are_carried() {
    let given = json!({"openai": {"a": null, "b": true, "c": "text", "d": 1.5, "e": [1.0, {"f": []}], "g": {}}});
    assert_eq!(carried(given.clone()).unwrap(), given);
    assert_eq!(carried(json!({"a": {"n": 9_007_199_254_740_991_i64}})).unwrap()["a"]["n"], 9_007_199_254_740_991_f64);
}

/// A number that a double cannot hold, and what is no object, is refused with its path.
#[test]
fn params_that_cannot_be_carried() {
    for (params, path) in [
        (json!({"a": {"n": 9_007_199_254_740_992_i64}}), "params.a.n"),
        (json!({"a": {"n": -9_007_199_254_740_992_i64}}), "params.a.n"),
        (json!({"a": {"n": u64::MAX}}), "params.a.n"),
        (json!({"a": {"n": 1e300}}), "params.a.n"),
        (json!({"a": {"l": [0, {"n": i64::MIN}]}}), "params.a.l[1].n"),
        (json!({"a": 1}), "params.a"),
    ] {
        let error = carried(params).unwrap_err();
        assert!(error.is_refused());
        assert_eq!(error.violations()[0].field, path);
    }
}

/// A refused call sends nothing.
#[tokio::test]
async fn refused_calls() {
    let log = Log::start(short_log(), []).await;
    let model = log.server.client().image("sandbox/scene");
    let bad = json!({"sandbox": {"seed": u64::MAX}});
    assert!(model.generate("a cat").with_params(bad.clone()).await.unwrap_err().is_refused());
    assert!(model.stream("a cat").with_params(bad.clone()).await.unwrap_err().is_refused());
    assert!(model.explain("a cat").with_params(bad).await.unwrap_err().is_refused());
    assert!(model.generate("a cat").with_params(json!([1])).await.unwrap_err().is_refused());
    for image in [Image::default(), Image::from_bytes(""), Image::from_bytes(vec![0; (64 << 20) + 1])] {
        let error = model.edit("a cat").image(&image).await.unwrap_err();
        assert!(error.is_refused());
        assert_eq!(error.violations()[0].field, "input.images[0]");
        let error = model.edit("a cat").image(Image::from_id("i")).mask(image).await.unwrap_err();
        assert_eq!(error.violations()[0].field, "input.mask");
    }
    assert!(log.server.calls().is_empty());
}

/// A call's own word goes before the model's: options field by field, params key by key.
#[tokio::test]
async fn settings_are_joined() {
    let log = Log::start(short_log(), []).await;
    let model = log.server.client().image("sandbox/scene").size(64, 32).quality("low").strict(true);
    let model = model.with_params(json!({"a": {"x": 1, "y": 2}, "b": {"z": 3}}));
    assert_eq!((model.model(), model.params()["a"]["x"].as_i64()), ("sandbox/scene", Some(1)));
    assert_eq!(model.options().quality, "low");
    let options = ImageOptions { quality: "high".into(), seed: Some(-7), ..Default::default() };
    let call = model.generate("a cat").with_options(options).with_params(json!({"a": {"y": 9}, "c": {}}));
    call.fallback_models(["x/y"]).await.unwrap();
    let sent: GenerateRequest = log.server.calls()[0].request();
    let options = sent.options.unwrap();
    assert_eq!((options.size.unwrap().width, options.quality.as_str(), options.seed), (64, "high", Some(-7)));
    let params: Value = sent
        .params
        .into_iter()
        .map(|(provider, values)| (provider, Value::Object(json_from_struct(&values))))
        .collect();
    assert_eq!(params, json!({"a": {"x": 1.0, "y": 9.0}, "b": {"z": 3.0}, "c": {}}));
    assert!(sent.strict);
    assert_eq!(sent.retry.unwrap(), RetryPolicy { fallback_models: vec!["x/y".into()], ..Default::default() });
    // The model is as it was.
    assert_eq!((model.options().seed, model.params()["a"]["y"].as_i64()), (None, Some(2)));
}

/// All options have a setter of their own, and an unset one is left to the server.
#[tokio::test]
async fn all_options() {
    let call = sent(|model| {
        let call = model.generate("a cat").count(2).size(64, 32).aspect_ratio("2:1").resolution("1K").quality("low");
        let call = call.background("opaque").format("png").compression(0).seed(0).negative_prompt("dogs");
        call.preview_count(3).retry_ambiguous(false).fallback_on_content_filtered(true)
    });
    let sent_all = call.await;
    assert_eq!(
        sent_all.options.unwrap(),
        ImageOptions {
            count: Some(2),
            size: Some(PixelSize { width: 64, height: 32 }),
            aspect_ratio: "2:1".into(),
            resolution: "1K".into(),
            quality: "low".into(),
            background: "opaque".into(),
            format: "png".into(),
            compression: Some(0),
            seed: Some(0),
            negative_prompt: "dogs".into(),
            preview_count: Some(3),
        }
    );
    let retry = RetryPolicy { fallback_on_content_filtered: true, ..Default::default() };
    assert_eq!(sent_all.retry, Some(retry));
    let sent_none = sent(|model| model.generate("a cat")).await;
    assert_eq!(sent_none.options.unwrap(), ImageOptions { preview_count: Some(0), ..Default::default() });
    assert_eq!((sent_none.retry, sent_none.params.len(), sent_none.on_disconnect), (None, 0, 0));
}

/// Whoever waits asks for no previews; whoever watches leaves their number to the server.
#[tokio::test]
async fn previews() {
    let log = Log::start(short_log(), []).await;
    let model = log.server.client().image("sandbox/scene");
    model.stream("a cat").await.unwrap().result().await.unwrap();
    model.edit("a cat").image(Image::from_id("i")).await.unwrap();
    let calls = log.server.calls();
    assert_eq!(calls[0].request::<GenerateRequest>().options.unwrap().preview_count, None);
    assert_eq!(calls[1].request::<EditRequest>().options.unwrap().preview_count, Some(0));
}

/// An image goes as its bytes if they are there, with its metadata, else as its id, else as its URL.
#[tokio::test]
async fn sources() {
    let metadata = std::collections::HashMap::from([("openai".to_owned(), prost_types::Struct::default())]);
    let made = v1::GeneratedImage { image: Some(facts(&small())), metadata: metadata.clone(), ..Default::default() };
    let whole = crate::GeneratedImage::from_server(made.clone(), small());
    let reference = crate::GeneratedImage::from_server(made, Default::default());
    let log = Log::start(short_log(), []).await;
    let model = log.server.client().image("sandbox/scene");
    let call = model.edit("").image(&whole).image(reference).images([Image::from_url("https://example.com/a.png")]);
    call.mask(Image::from_bytes(small()).with_media_type("image/webp")).await.unwrap();
    let input = log.server.calls()[0].request::<EditRequest>().input.unwrap();
    let sources: Vec<_> = input.images.iter().map(|image| image.source.clone().unwrap()).collect();
    let url = Source::Url("https://example.com/a.png".into());
    assert_eq!(sources, [Source::Data(small()), Source::ImageId("img_1".into()), url]);
    assert_eq!((&input.images[0].metadata, input.images[1].metadata.len()), (&metadata, 0));
    let mask = input.mask.unwrap();
    assert_eq!((mask.media_type.as_str(), mask.source), ("image/webp", Some(Source::Data(small()))));
}

/// Explain asks what generate or edit would send, and names no wish.
#[tokio::test]
async fn explain() {
    let calls = vec![PlannedCall { model: "a/b".into(), ..Default::default() }];
    let told = ExplainResponse { calls: calls.clone() };
    let server = Server::start(move |_| vec![message(&told), ok()]).await;
    let model = server.client().image("sandbox/scene").resumable(true);
    assert_eq!(model.explain("a cat").await.unwrap(), calls);
    assert_eq!(model.explain_edit("a cat").image(Image::from_id("i")).await.unwrap(), calls);
    let asked = server.calls().into_iter().map(|call| call.request::<ExplainRequest>().request.unwrap());
    let asked: Vec<_> = asked.collect();
    let explain_request::Request::Generate(generate) = &asked[0] else { panic!("{asked:?}") };
    assert_eq!((generate.request_id.as_str(), generate.options.as_ref().unwrap().preview_count), ("", Some(0)));
    assert!(
        matches!(&asked[1], explain_request::Request::Edit(edit) if edit.input.as_ref().unwrap().images.len() == 1)
    );
}

/// Models come from all pages, with the providers that could not be asked.
#[tokio::test]
async fn models() {
    let server = Server::start(|call| {
        let asked: ListModelsRequest = call.request();
        assert_eq!(asked.provider, "sandbox");
        let (name, next) = if asked.page_token.is_empty() { ("a/1", "2") } else { ("a/2", "") };
        let unreachable = vec![UnreachableProvider { provider: "b".into(), reason: ErrorReason::Timeout.into() }];
        let models = vec![Model { name: name.into(), ..Default::default() }];
        vec![message(&ListModelsResponse { models, next_page_token: next.into(), unreachable }), ok()]
    })
    .await;
    let list = server.client().models(Some("sandbox")).await.unwrap();
    assert_eq!(list.models.iter().map(|model| model.name.as_str()).collect::<Vec<_>>(), ["a/1", "a/2"]);
    assert_eq!((list.unreachable.len(), list.unreachable[0].provider.as_str()), (1, "b"));
}
