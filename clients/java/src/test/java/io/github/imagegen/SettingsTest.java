package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import io.github.imagegen.v1.EditRequest;
import io.github.imagegen.v1.ExplainRequest;
import io.github.imagegen.v1.ExplainResponse;
import io.github.imagegen.v1.GenerateRequest;
import io.github.imagegen.v1.GetModelResponse;
import io.github.imagegen.v1.ImageOptions;
import io.github.imagegen.v1.ListModelsResponse;
import io.github.imagegen.v1.Model;
import io.github.imagegen.v1.OnDisconnect;
import io.github.imagegen.v1.PlannedCall;
import io.github.imagegen.v1.UnreachableProvider;
import java.math.BigInteger;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What requests carry, from what model and call say. */
@Timeout(30)
class SettingsTest {
  private static final byte[] DATA = Events.picture(1000, 1);

  private final FakeServer server =
      new FakeServer().draws(Events.log(Events.complete(0, DATA), Events.result(DATA)));
  private final ImageGenClient client = server.client();

  @AfterEach
  void close() {
    client.close();
    server.close();
  }

  /** A call's word goes before the model's: options field by field, params key by key. */
  @Test
  void aCallGoesBeforeItsModel() throws InterruptedException {
    var bound =
        CallSettings.builder()
            .options(o -> o.setCount(2).setQuality("high"))
            .size(64, 32)
            .params("p", Map.of("a", 1, "b", "two"))
            .strict(true)
            .fallbackModels("q/m")
            .build();
    var model = client.image("p/m", bound);
    assertEquals("p/m", model.model());
    assertEquals(2, model.options().getCount());
    assertEquals(1, model.params().get("p").getFieldsOrThrow("a").getNumberValue());
    var said =
        CallSettings.builder()
            .options(o -> o.setQuality("low"))
            .size(16, 16)
            .param("p", "b", null)
            .params("q", Map.of("c", true))
            .retryAmbiguous(true)
            .requestId("mine")
            .build();
    model.generate("a boat", said);
    var request = server.next(GenerateRequest.class);
    var options = ImageOptions.newBuilder().setCount(2).setQuality("low").setPreviewCount(0);
    options.getSizeBuilder().setWidth(16).setHeight(16);
    assertEquals(options.build(), request.getOptions());
    assertEquals(1, request.getParamsOrThrow("p").getFieldsOrThrow("a").getNumberValue());
    assertTrue(request.getParamsOrThrow("p").getFieldsOrThrow("b").hasNullValue());
    assertTrue(request.getParamsOrThrow("q").getFieldsOrThrow("c").getBoolValue());
    assertTrue(request.getStrict());
    assertEquals(List.of("q/m"), request.getRetry().getFallbackModelsList());
    assertTrue(request.getRetry().getRetryAmbiguous());
    assertEquals("mine", request.getRequestId());
    assertEquals("a boat", request.getInput().getPrompt());
  }

  /** Only who watches is shown previews, unless they were asked for. */
  @Test
  void previewsAreForWhoWatches() throws InterruptedException {
    var model = client.image("p/m");
    model.generate("a boat");
    assertEquals(0, server.next(GenerateRequest.class).getOptions().getPreviewCount());
    model.stream("a boat").result();
    var watched = server.next(GenerateRequest.class);
    assertFalse(watched.getOptions().hasPreviewCount());
    assertFalse(watched.hasRetry());
    assertEquals("", watched.getRequestId());
    model.generate("a boat", CallSettings.builder().options(o -> o.setPreviewCount(3)).build());
    assertEquals(3, server.next(GenerateRequest.class).getOptions().getPreviewCount());
  }

  /** Images go as bytes with the metadata of their making, else as ids, else as URLs. */
  @Test
  void imagesOfAnEdit() throws InterruptedException {
    var said = Struct.newBuilder().putFields("k", Value.newBuilder().setBoolValue(true).build());
    var made = Events.made(0, DATA).toBuilder().putMetadata("p", said.build()).build();
    var edit =
        ImageEdit.of("more", GeneratedImage.of(made, com.google.protobuf.ByteString.copyFrom(DATA)))
            .withReference(GeneratedImage.of(made, null))
            .withReference(Image.fromUrl("https://example.com/a.png"))
            .withMask(Image.fromBytes(DATA));
    client.image("p/m").edit(edit);
    var input = server.next(EditRequest.class).getInput();
    assertEquals(DATA.length, input.getImages(0).getData().size());
    assertTrue(input.getImages(0).containsMetadata("p"));
    assertEquals(made.getImage().getImageId(), input.getImages(1).getImageId());
    assertFalse(input.getImages(1).containsMetadata("p"));
    assertEquals("https://example.com/a.png", input.getImages(2).getUrl());
    assertEquals(DATA.length, input.getMask().getData().size());
    var preview = Image.received(io.github.imagegen.v1.Image.getDefaultInstance(), null);
    var impossible = ImageEdit.of("more", preview);
    assertThrows(IllegalArgumentException.class, () -> client.image("p/m").edit(impossible));
  }

  private static void assertRefused(Object value, String path) {
    var settings = CallSettings.builder();
    var error = assertThrows(IllegalArgumentException.class, () -> settings.param("p", "k", value));
    assertTrue(error.getMessage().contains(path), error.getMessage());
  }

  /** A number that would arrive damaged is refused with its path; so is what is not JSON. */
  @Test
  void paramsThatCannotBeCarried() {
    assertRefused(1L << 53, "params.p.k");
    assertRefused(-(1L << 53) - 1, "params.p.k");
    assertRefused(BigInteger.TEN.pow(400), "params.p.k");
    assertRefused(0x1p53, "params.p.k");
    assertRefused(Map.of("deep", List.of(1, Double.NaN)), "params.p.k.deep[1]");
    assertRefused(Float.POSITIVE_INFINITY, "params.p.k");
    assertRefused(new Object(), "params.p.k");
    assertRefused(Map.of(1, 2), "params.p.k");
    var settings = CallSettings.builder();
    settings.params("p", Map.of("most", (1L << 53) - 1, "list", Arrays.asList(1.5, null, "x")));
    assertEquals(1, settings.build().params.size());
  }

  /** What cannot hold together is refused before anything is sent. */
  @Test
  void contradictions() {
    var model = client.image("p/m");
    var settings =
        CallSettings.builder()
            .resumable(true)
            .onDisconnect(OnDisconnect.ON_DISCONNECT_CANCEL)
            .build();
    assertThrows(IllegalArgumentException.class, () -> model.generate("a boat", settings));
    var named = CallSettings.builder().requestId("mine").build();
    assertThrows(IllegalArgumentException.class, () -> client.image("p/m", named));
    assertThrows(
        IllegalArgumentException.class, () -> CallSettings.builder().timeout(Duration.ZERO));
    assertTrue(server.asked.isEmpty());
  }

  /** explain asks for what generate and edit would send. */
  @Test
  void explain() throws InterruptedException {
    var planned = PlannedCall.newBuilder().setModel("p/m").build();
    server.explain =
        (request, nth, out) ->
            FakeServer.answer(out, ExplainResponse.newBuilder().addCalls(planned).build());
    var model = client.image("p/m");
    assertEquals(List.of(planned), model.explain("a boat", CallSettings.none()));
    var request = server.next(ExplainRequest.class).getGenerate();
    assertEquals("a boat", request.getInput().getPrompt());
    assertTrue(request.getOptions().hasPreviewCount());
    var edit = ImageEdit.of("more", Image.fromId("i"));
    assertEquals(List.of(planned), model.explain(edit, CallSettings.none()));
    var edited = server.next(ExplainRequest.class).getEdit();
    assertEquals("i", edited.getInput().getImages(0).getImageId());
  }

  /** Capabilities are asked of the server once; a failed question is asked again. */
  @Test
  void capabilitiesAreRemembered() {
    server.getModel =
        (request, nth, out) -> {
          if (nth == 1) {
            throw FakeServer.breaks();
          }
          var told = Model.newBuilder().setName("p/m");
          told.getCapabilitiesBuilder().setEdit(true);
          FakeServer.answer(out, GetModelResponse.newBuilder().setModel(told).build());
        };
    var model = client.image("m");
    assertThrows(ImageGenException.class, model::capabilities);
    assertTrue(model.capabilities().getEdit());
    assertTrue(model.capabilities().getEdit());
    assertEquals(2, server.asked.size());
  }

  /** All pages of the models are read; a list that goes in circles is an error. */
  @Test
  void modelsOfAllPages() {
    server.listModels =
        (request, nth, out) -> {
          var page =
              ListModelsResponse.newBuilder()
                  .addModels(Model.newBuilder().setName("p/" + nth))
                  .addUnreachable(UnreachableProvider.newBuilder().setProvider("q"));
          String token = request.getProvider().equals("circle") || nth == 1 ? "2" : "";
          FakeServer.answer(out, page.setNextPageToken(token).build());
        };
    var list = client.models();
    assertEquals(List.of("p/1", "p/2"), list.models().stream().map(Model::getName).toList());
    assertEquals("q", list.unreachable().get(0).getProvider());
    assertThrows(ImageGenException.class, () -> client.models("circle"));
  }
}
