//! What is checked of the stubs until the helper brings tests of its own.

use imagegen_client::v1::{image_service_client::ImageServiceClient, model_service_client::ModelServiceClient};
use imagegen_client::v1::{image_source::Source, image_stream_event::Event, *};
use tonic::{transport::Channel, Code};

/// Every method can be called; on a port where nobody listens the answer is UNAVAILABLE.
#[tokio::test]
async fn every_method() {
    let channel = Channel::from_static("http://127.0.0.1:1").connect_lazy();
    let mut images = ImageServiceClient::new(channel.clone());
    let mut models = ModelServiceClient::new(channel);
    let input = Some(ImageInput { prompt: "a cat".into() });
    let draw = GenerateRequest { input, on_disconnect: OnDisconnect::Detach.into(), ..Default::default() };
    let source = ImageSource { source: Some(Source::ImageId("i".into())), ..Default::default() };
    let input = Some(ImageEditInput { images: vec![source], ..Default::default() });
    let change = EditRequest { input, ..Default::default() };
    let stopped = CancelRequest { generation: Some(cancel_request::Generation::GenerationId("g".into())) };
    let explained = ExplainRequest { request: Some(explain_request::Request::Edit(change.clone())) };
    for refused in [
        images.generate(draw.clone()).await.map(drop),
        images.stream_generate(draw).await.map(drop),
        images.edit(change.clone()).await.map(drop),
        images.stream_edit(change).await.map(drop),
        images.resume(ResumeRequest::default()).await.map(drop),
        images.cancel(stopped).await.map(drop),
        images.read_image(ReadImageRequest::default()).await.map(drop),
        images.upload_image(UploadImageRequest::default()).await.map(drop),
        images.explain(explained).await.map(drop),
        models.list_models(ListModelsRequest::default()).await.map(drop),
        models.get_model(GetModelRequest::default()).await.map(drop),
    ] {
        assert_eq!(refused.unwrap_err().code(), Code::Unavailable);
    }
    let failure = ImageFailure { reason: ErrorReason::Timeout.into(), ..Default::default() };
    let Event::Failure(failure) = Event::Failure(failure) else { unreachable!() };
    assert_eq!(failure.reason().as_str_name(), "ERROR_REASON_TIMEOUT");
}
