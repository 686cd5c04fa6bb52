package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.imagegen.v1.Billed;
import io.github.imagegen.v1.CancelRequest;
import io.github.imagegen.v1.ErrorReason;
import io.grpc.Status;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Somebody takes the connection and says nothing. No call here has a time limit. */
@Timeout(30)
class MuteListenerTest {
  private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());

  MuteListenerTest() throws IOException {
    listener.setSoTimeout(10_000); // an interrupt would not end its waiting
  }

  @AfterEach
  void close() throws IOException {
    listener.close();
  }

  private ImageGenClient.Builder builder() {
    return ImageGenClient.builder()
        .address("127.0.0.1:" + listener.getLocalPort())
        .connectLimit(Duration.ofMillis(200));
  }

  /** Connecting is given up; as no connection came about, nothing was spent. */
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void connectingIsGivenUp(boolean tls) {
    var builder = tls ? builder().tls() : builder();
    try (var client = builder.build()) {
      var model = client.image("p/m");
      var error = assertThrows(ImageGenException.class, () -> model.generate("a boat"));
      assertEquals(Status.Code.UNAVAILABLE, error.code());
      assertEquals(ErrorReason.ERROR_REASON_NETWORK_ERROR, error.reason());
      assertEquals(Billed.BILLED_NO, error.billed());
      assertTrue(error.getMessage().contains("within 200 ms"), error.getMessage());
    }
  }

  /** What is free is tried again over a new connection, and the one that was given up is closed. */
  @Test
  void aNewConnectionIsMade() throws IOException {
    try (var server = new FakeServer();
        var client = builder().build()) {
      var stopped = client.cancelAsync(CancelRequest.newBuilder().setGenerationId("gen_1").build());
      try (Socket mute = listener.accept();
          Socket second = listener.accept();
          Socket behind = new Socket(InetAddress.getLoopbackAddress(), server.port())) {
        pipe(second, behind);
        pipe(behind, second);
        assertTrue(Rpc.await(stopped));
        mute.getInputStream().readAllBytes(); // comes to an end
      }
    }
  }

  private static void pipe(Socket from, Socket to) {
    var pipe =
        new Thread(
            () -> {
              try {
                from.getInputStream().transferTo(to.getOutputStream());
              } catch (IOException closed) {
                // By the test, at its end.
              }
            });
    pipe.setDaemon(true);
    pipe.start();
  }
}
