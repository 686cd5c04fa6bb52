package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.imagegen.v1.*;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.function.Executable;

/** The plain stubs, which need no helper. */
class StubsTest {
  /** Every method can be called: on a port where nobody listens the answer is UNAVAILABLE. */
  @Test
  void everyMethodCanBeCalled() {
    var channel = ManagedChannelBuilder.forTarget("127.0.0.1:1").usePlaintext().build();
    var images = ImageServiceGrpc.newBlockingStub(channel);
    var models = ModelServiceGrpc.newBlockingStub(channel);
    var input = ImageInput.newBuilder().setPrompt("a cat");
    var draw =
        GenerateRequest.newBuilder()
            .setInput(input)
            .setOnDisconnect(OnDisconnect.ON_DISCONNECT_DETACH)
            .build();
    var edited = ImageEditInput.newBuilder().addImages(ImageSource.newBuilder().setImageId("i"));
    var change = EditRequest.newBuilder().setInput(edited).build();
    List<Executable> calls =
        List.of(
            () -> images.generate(draw),
            () -> images.streamGenerate(draw).next(),
            () -> images.edit(change),
            () -> images.streamEdit(change).next(),
            () -> images.resume(ResumeRequest.newBuilder().setRequestId("r").build()).next(),
            () -> images.cancel(CancelRequest.newBuilder().setGenerationId("g").build()),
            () -> images.readImage(ReadImageRequest.getDefaultInstance()).next(),
            () -> images.uploadImage(UploadImageRequest.getDefaultInstance()),
            () -> images.explain(ExplainRequest.newBuilder().setEdit(change).build()),
            () -> models.listModels(ListModelsRequest.getDefaultInstance()),
            () -> models.getModel(GetModelRequest.getDefaultInstance()));
    for (var call : calls) {
      var error = assertThrows(StatusRuntimeException.class, call);
      assertEquals(Status.Code.UNAVAILABLE, error.getStatus().getCode());
    }
    var failure = ImageFailure.newBuilder().setReason(ErrorReason.ERROR_REASON_TIMEOUT);
    assertEquals(
        ImageStreamEvent.EventCase.FAILURE,
        ImageStreamEvent.newBuilder().setFailure(failure).getEventCase());
    channel.shutdownNow();
  }
}
