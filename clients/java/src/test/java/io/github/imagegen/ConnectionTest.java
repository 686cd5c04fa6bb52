package io.github.imagegen;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.imagegen.v1.CancelRequest;
import io.github.imagegen.v1.ImageServiceGrpc;
import io.grpc.CallCredentials;
import io.grpc.CompositeChannelCredentials;
import io.grpc.InsecureChannelCredentials;
import io.grpc.Metadata;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.util.List;
import java.util.concurrent.Executor;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(30)
class ConnectionTest {
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);
  private static final Metadata.Key<String> USER_AGENT =
      Metadata.Key.of("user-agent", Metadata.ASCII_STRING_MARSHALLER);

  private static final CallCredentials NOTHING =
      new CallCredentials() {
        @Override
        public void applyRequestMetadata(
            RequestInfo request, Executor executor, MetadataApplier applier) {
          applier.apply(new Metadata());
        }
      };

  /** A URL, and a host without a port, are refused before anything is sent. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "http://localhost:50051",
        "HTTPS://example.com",
        "localhost",
        "localhost:",
        "[::1]",
        "::1",
        "fe80::1",
        "10.0.0.1"
      })
  void addressesThatAreNone(String address) {
    assertThrows(IllegalArgumentException.class, () -> ImageGenClient.connect(address));
  }

  /** Without an address it is that of the environment, else the default. */
  @Test
  void whereAnAddressComesFrom() {
    assertEquals("a:1", Address.resolve("a:1", "b:2"));
    assertEquals("b:2", Address.resolve(null, "b:2"));
    assertEquals("b:2", Address.resolve("", "b:2"));
    assertEquals("127.0.0.1:50051", Address.resolve(null, null));
    assertEquals("127.0.0.1:50051", Address.resolve(null, ""));
    assertEquals("dns:///a.example:443", Address.resolve("dns:///a.example:443", null));
  }

  /** What stays on this machine is known without asking a name server. */
  @Test
  void loopback() {
    for (var here :
        List.of(
            "localhost:1",
            "127.0.0.1:1",
            "127.9.9.9:1",
            "[::1]:1",
            "dns:///localhost:1",
            "unix:/tmp/s",
            "unix-abstract:s")) {
      assertTrue(Address.isLoopback(here), here);
    }
    for (var elsewhere :
        List.of(
            "example.com:1",
            "10.0.0.1:1",
            "127.0.0.1.example.com:1",
            "localhost.example.com:1",
            "[2001:db8::1]:1",
            "[localhost]:1",
            "127.0.0.1:1,10.0.0.1:1",
            "xds:///localhost:1",
            "127.0.0.999:1")) {
      assertFalse(Address.isLoopback(elsewhere), elsewhere);
    }
  }

  /** A token goes over TLS or to this machine only. */
  @Test
  void tokenInClearText() {
    var far = ImageGenClient.builder().address("example.com:50051").token("secret");
    var error = assertThrows(IllegalArgumentException.class, far::build);
    assertFalse(error.getMessage().contains("secret"));
    far.tls(InsecureChannelCredentials.create());
    assertThrows(IllegalArgumentException.class, far::build);
    far.tls(CompositeChannelCredentials.create(InsecureChannelCredentials.create(), NOTHING));
    assertThrows(IllegalArgumentException.class, far::build);
    assertThrows(NullPointerException.class, () -> far.tls(null));
    far.tls().build().close();
    assertThrows(IllegalArgumentException.class, () -> far.token("two\nlines"));
  }

  /** Every call carries token and user agent, those of the plain stubs too. */
  @Test
  void tokenAndUserAgent() throws InterruptedException {
    try (var server = new FakeServer();
        var client = server.builder().token("secret").build()) {
      client.cancel("gen_1");
      ImageServiceGrpc.newBlockingStub(client.channel())
          .cancel(CancelRequest.newBuilder().setGenerationId("gen_2").build());
      for (int i = 0; i < 2; i++) {
        var headers = server.headers.take();
        assertEquals("Bearer secret", headers.get(AUTHORIZATION));
        String agent = headers.get(USER_AGENT);
        assertTrue(agent.matches("imagegen-java/\\d+\\.\\d+\\.\\d+\\S* .*"), agent);
      }
    }
    try (var server = new FakeServer();
        var client = server.builder().token("").build()) {
      client.cancel("gen_1");
      assertNull(server.headers.take().get(AUTHORIZATION));
    }
  }

  /** A proxy of the environment is no way to one's own machine. */
  @Test
  void noProxyToLoopback() {
    var before = ProxySelector.getDefault();
    ProxySelector.setDefault(
        new ProxySelector() {
          @Override
          public List<Proxy> select(URI uri) {
            return List.of(new Proxy(Proxy.Type.HTTP, new InetSocketAddress("127.0.0.1", 1)));
          }

          @Override
          public void connectFailed(URI uri, SocketAddress address, java.io.IOException error) {}
        });
    try (var server = new FakeServer();
        var client = server.client()) {
      assertTrue(client.cancel("gen_1"));
    } finally {
      ProxySelector.setDefault(before);
    }
  }
}
