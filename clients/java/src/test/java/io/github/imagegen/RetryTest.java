package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.github.imagegen.v1.ExplainResponse;
import io.github.imagegen.v1.GetModelResponse;
import io.github.imagegen.v1.Model;
import io.grpc.Status;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class RetryTest {
  /** The methods that are tried again are those that are declared to be free, and no others. */
  @Test
  void freeMethodsAreNamed() {
    var config =
        (Map<?, ?>)
            ((List<?>) ServiceConfig.ofFreeMethods(ConnectLimit.LIMIT).get("methodConfig")).get(0);
    var names =
        ((List<?>) config.get("name"))
            .stream().map(name -> ((Map<?, ?>) name).get("method")).collect(Collectors.toSet());
    assertEquals(
        Set.of("Resume", "Cancel", "ReadImage", "UploadImage", "Explain", "ListModels", "GetModel"),
        names);
  }

  /** A server that is away for a moment is asked again for what is free. */
  @Test
  void freeMethodIsTriedAgain() {
    try (var server = new FakeServer();
        var client = server.client()) {
      server.getModel =
          (request, nth, out) -> {
            if (nth == 1) {
              throw Status.UNAVAILABLE.asRuntimeException();
            }
            var model = Model.newBuilder().setName("p/m").build();
            FakeServer.answer(out, GetModelResponse.newBuilder().setModel(model).build());
          };
      assertEquals("p/m", client.model("m").getName());
      assertEquals(2, server.asked.size());
    }
  }

  /** So it is for what is free and large. */
  @Test
  void largeFreeRequestIsTriedAgain() {
    try (var server = new FakeServer();
        var client = server.client()) {
      server.explain =
          (request, nth, out) -> {
            if (nth == 1) {
              throw Status.UNAVAILABLE.asRuntimeException();
            }
            FakeServer.answer(out, ExplainResponse.getDefaultInstance());
          };
      var edit = ImageEdit.of("more", Image.fromBytes(Events.picture(3_000_000, 1)));
      client.image("p/m").explain(edit, CallSettings.none());
      assertEquals(2, server.asked.size());
    }
  }

  /** What may cost money is sent once, whatever its status is. */
  @Test
  void paidMethodIsNotTriedAgain() {
    try (var server = new FakeServer();
        var client = server.client()) {
      server.draw =
          (request, nth, out) -> {
            throw Status.UNAVAILABLE.asRuntimeException();
          };
      var model = client.image("p/m");
      assertThrows(ImageGenException.class, () -> model.generate("a boat"));
      var edit = ImageEdit.of("more", Image.fromId("i"));
      assertThrows(ImageGenException.class, () -> model.edit(edit));
      assertEquals(2, server.asked.size());
    }
  }
}
